"""The README.md of an adapter: what its medqa.json says, for people, without the folders of this machine."""

from __future__ import annotations

from medqa.spec import without_folder


def model_card(name: str, card: dict) -> str:
    """`name`: the run's. `card`: its medqa.json."""
    base = without_folder(card["base_model"])
    # The Hub links the adapter to its base by this; a folder's name it would take for a broken link.
    of_hub = f"base_model: {base}\n" if "/" in base else ""
    return f"""---
library_name: peft
{of_hub}---

# {name}

A LoRA adapter fine-tuned with MedQA on medical exam questions. For study: not medical advice, not for use in patient
care.

- Base model: {base}, revision `{card["base_revision"]}`
- Data set: {without_folder(card["dataset"])}, {card["rows"]:,} rows
- Steps: {card["steps"]:,} of {card["total_steps"]:,}; the weights are those after step {card["step"]:,}
- {_held_out(card["scores"])}

Ask with it where its run lies in MedQA's folder of runs:

```
python -m medqa ask --adapter {name} < question.txt
```

Settings, versions and all scores are in `medqa.json`.
"""


def _held_out(scores: dict) -> str:
    split, measured = next(iter(scores.items()))
    counts = [f"{score['correct']:,} of {score['total']:,} {when}" for when, score in measured.items()]
    return f"Right on held-out questions ({split}): {', '.join(counts) or 'not measured'}"
