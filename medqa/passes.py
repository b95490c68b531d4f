"""How much goes through a model at a time in training: what its memory depends on. Knows no model.

Each for the CPU and for a GPU, by PyTorch's name for it.
"""

# Tokens, padding among them. More go through in parts, their gradients added up: a working set nearer to the CPU's
# caches, and less memory for the kernel to hand over.
TOKENS_AT_ONCE = {"cpu": 4096, "cuda": 2**16}
# Entries of the logits that exist at a time. Larger blocks leave a CPU's cache; a GPU wants them large.
LOGITS = {"cpu": 2**22, "cuda": 2**27}
