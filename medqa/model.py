"""A base model with its tokenizer, and the adapters attached to it by name. Knows nothing of questions."""

from __future__ import annotations

import copy
import hashlib
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from peft import PeftConfig, PeftModel
from safetensors import SafetensorError, safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.pytorch_utils import Conv1D
from transformers.utils.logging import disable_progress_bar

from medqa import trial_pass
from medqa.base_model import ModelError, locate
from medqa.device import Device, compute_on, is_out_of_memory
from medqa.lean_decoder import LeanDecoder, lean
from medqa.prompt import refusal_by
from medqa.turns import Turns

# PEFT asks for it by its old name whenever an adapter is attached; nobody who answers a question can do anything.
warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)

ADAPTERS_ATTACHED = 8
# Copies for writing: 36 MB each of the embedded model; of the largest 128 MB and the output layer a second time.
COPIED_PARAMETERS = 32_000_000
COPIES_KEPT = 4
# In place of the key of the adapter that is switched on.
UNKNOWN = "unknown"


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """Raises ModelError when its chat template takes no question: nothing else says how to put one to the model."""
    try:
        folder = locate(name, weights=False)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ModelError(f"The tokenizer of {name} can't be loaded: {error}") from error
    if not tokenizer.chat_template:
        raise ModelError(f"{name} has no chat template. Choose a chat or instruct model.")
    refusal = refusal_by(tokenizer)
    if refusal is not None:
        raise ModelError(
            f"The chat template of {name} takes no question after an instruction: {refusal.rstrip('.')}. "
            "Choose another chat or instruct model."
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_base(name: str, device: Device, dtype: torch.dtype | None = None) -> PreTrainedModel:
    """The model on its device, in evaluation mode, in the device's dtype unless told otherwise. Raises ModelError."""
    disable_progress_bar()
    with _told_when_out_of_memory(name, device):
        try:
            model = AutoModelForCausalLM.from_pretrained(
                locate(name),
                dtype=dtype or device.dtype,
                attn_implementation="sdpa",
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
            )
        except (OSError, ValueError, SafetensorError) as error:
            raise ModelError(f"The base model {name} can't be loaded: {error}") from error
        model = model.to(device.torch_name).eval()
        fault = trial_pass.fault_of(model)
    if fault:
        raise ModelError(f"The base model {name} can't be used: {fault} Choose another one.")
    return model


@contextmanager
def _told_when_out_of_memory(name: str, device: Device) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise ModelError(
            f"{name} and what it computes do not fit into the device's memory ({device.hardware}). "
            "Choose a smaller base model, or free the device."
        ) from error


def decoder_layers(model: PreTrainedModel) -> list[torch.nn.Module]:
    """The layers a decoder is a stack of, by the name that the model's own code gives their class."""
    names = model._no_split_modules or ()
    return [module for module in model.get_decoder().modules() if type(module).__name__ in names]


def linear_layers(model: PreTrainedModel) -> dict[str, torch.nn.Module]:
    """Those that LoRA can train, by their full names: not the output layer, whose weights score the answers."""
    head = model.get_output_embeddings()
    named = model.named_modules()
    return {name: one for name, one in named if isinstance(one, torch.nn.Linear | Conv1D) and one is not head}


@dataclass(frozen=True)
class Copy:
    """Weights for writing that no adapter is switched on or off in. `lean`: its steps, where they can be had leaner."""

    network: PreTrainedModel
    lean: LeanDecoder | None


@dataclass
class Loaded:
    """A base model in memory. All use of the network goes through `using`, a turn for each caller: `set_adapter`
    changes the one shared network, so two callers must never interleave within a pass."""

    name: str
    device: Device
    base: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    # Where its files lay: on the Hub there may be newer ones by now.
    folder: Path
    # How many cores a thread computes on while it is `using` the model; None: as many as torch takes.
    cores: int | None = None
    _with_adapters: PeftModel | None = None
    _attached: OrderedDict[str, Path] = field(default_factory=OrderedDict)
    _on: str | None = None
    _turns: Turns = field(default_factory=Turns)
    _copies: OrderedDict[str, Copy] = field(default_factory=OrderedDict)
    _copying: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def using(self, adapter: Path | None) -> Iterator[PreTrainedModel]:
        """The causal language model with the adapter of this folder switched on (None: the base alone).

        Raises ModelError, also when memory runs out meanwhile.
        """
        if self.cores:
            compute_on(self.cores)
        enough = _told_when_out_of_memory(self.name, self.device)
        with self._turns.mine(), torch.inference_mode(), enough:
            if adapter is not None:
                # Once: a resumed run may replace the adapter at any moment.
                key = adapter_key(adapter)
                self._attach(adapter, key)
                self._switch_on(key)
            elif self._with_adapters is not None:
                self._switch_on(None)
            yield self.base

    def _switch_on(self, key: str | None) -> None:
        # Both go over every module; a text asks once for each of its tokens.
        if key == self._on:
            return
        self._on = UNKNOWN
        if key is None:
            self._with_adapters.base_model.disable_adapter_layers()
        else:
            self._with_adapters.base_model.enable_adapter_layers()
            self._with_adapters.set_adapter(key, inference_mode=True)
        self._on = key

    @property
    def is_copied(self) -> bool:
        """Whether there are copies for writing."""
        return self.device.torch_name == "cpu" and self.base.num_parameters() <= COPIED_PARAMETERS

    def copy_for_writing(self, adapter: Path | None) -> Copy | None:
        """The same weights in one plain float32 network that needs no `using`; None where it wouldn't be faster.

        Text is written a token at a time, so almost all the time goes into starting small matrix products: on a CPU
        those of a small model are 3 to 8 times faster in float32, and LoRA's two more per layer are saved. Merged in
        float32 the weights stay what the scores come from; in bfloat16 the sum would be rounded to 8 bits.
        """
        if not self.is_copied:
            return None
        key = adapter_key(adapter)
        with self._copying:
            if key not in self._copies:
                network = self._merged(adapter)
                with torch.inference_mode(False), torch.no_grad():
                    self._copies[key] = Copy(network, lean(network))
            self._copies.move_to_end(key)
            if len(self._copies) > COPIES_KEPT:
                self._copies.popitem(last=False)
            return self._copies[key]

    def _merged(self, adapter: Path | None) -> PreTrainedModel:
        with self.using(adapter), torch.inference_mode(False), torch.no_grad():
            if self._with_adapters is None:
                return copy.deepcopy(self.base).float()
            copied = copy.deepcopy(self._with_adapters).float()
            # Merges the adapter that is switched on.
            return copied.unload() if adapter is None else copied.merge_and_unload()

    def _attach(self, folder: Path, key: str) -> None:
        """Raises ModelError, and leaves nothing of the adapter behind, when its weights are damaged or don't fit."""
        if key in self._attached:
            self._attached.move_to_end(key)
            return
        # PEFT may switch on what it loads, and another one when it lets go of one.
        self._on = UNKNOWN
        try:
            with safe_open(folder / "adapter_model.safetensors", "pt") as weights:
                if any(".lm_head." in name for name in weights.keys()):  # noqa: SIM118
                    # Answers are scored with the output layer's own weights, in float32.
                    raise ValueError("it changes the output layer, lm_head, which is not supported")
            with torch.inference_mode(False):
                config = PeftConfig.from_pretrained(str(folder), local_files_only=True)
                config.inference_mode = True
                if self._with_adapters is None:
                    self._with_adapters = PeftModel(self.base, config, key)
                loaded = self._with_adapters.load_adapter(str(folder), key, local_files_only=True)
            if loaded.missing_keys or loaded.unexpected_keys:
                raise ValueError("its layers are not this model's")
        except Exception as error:  # PEFT, safetensors and torch each raise their own
            if self._with_adapters is not None and key in self._with_adapters.peft_config:
                self._with_adapters.delete_adapter(key)
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ModelError(f"The adapter in {folder} can't be used with {self.name}: {reason}") from error
        self._with_adapters.eval()
        self._attached[key] = folder
        if len(self._attached) > ADAPTERS_ATTACHED:
            oldest, _ = self._attached.popitem(last=False)
            self._with_adapters.delete_adapter(oldest)


def adapter_key(folder: Path | None) -> str:
    """Names the weights this folder holds now. Raises ModelError where it is gone."""
    if folder is None:
        return ""
    try:
        # Their time is part of the key: a resumed run replaces its adapter under the same path.
        written = (folder / "adapter_model.safetensors").stat().st_mtime_ns
    except FileNotFoundError:
        raise ModelError(f"The adapter in {folder} is gone. Choose another one, and answer again.") from None
    return hashlib.sha256(f"{folder.resolve()} {written}".encode()).hexdigest()[:16]


def load(name: str, device: Device) -> Loaded:
    """Raises ModelError."""
    folder = locate(name)
    tokenizer = load_tokenizer(name)
    return Loaded(name, device, load_base(name, device), tokenizer, folder)
