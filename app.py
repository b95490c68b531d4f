"""Build the page and serve it. A Space starts this file."""

import os
import sys

# Nothing is sent anywhere on its own: not by Gradio, not by the Hub client.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
# Page and trainer share the cores: the page's threads must not spin while they wait. Read when torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from medqa.errors import UserError
from medqa.settings import from_environment
from medqa.ui import page

if __name__ == "__main__":
    try:
        page.serve(from_environment())
    except UserError as error:
        sys.exit(f"medqa: {error}")
