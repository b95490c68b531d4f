"""The training process: `python -m train <run folder>`. Its only contract with the page is the run folder.

__main__.py   says "started" before anything heavy loads; turns every failure into one sentence
session.py    set up, train, save: the recipe as a story
material.py   the data set, tokenised, and what is held out
lora.py       the base with the layers that LoRA trains
trainer.py    transformers.Trainer with the loss only where there are labels
ranks.py      the processes that train one run together, one for each device
sharding.py   the frozen base shared out among them, for one that a single device can't hold
fused.py      layers and loss in fewer passes over memory
packing.py    rows end to end without padding, on a GPU
graphs.py     the decoder's pass as one launch, on a GPU
attention.py  attention on a CPU: written out for short rows, where SDPA's backward pass is slow
reporting.py  events while training: steps, evaluations, checkpoints, stop
budget.py     how many tokens are scored at once, less when memory runs out
saving.py     the finished adapter, its scores and its cards; model_card.py is the one for people
swap.py       two folders that change names in one moment
best.py       the best adapter so far, kept where a resumed run finds it
checkpoints.py  drops what can't be resumed from, keeps the newest two
failures.py   an exception to the sentence that says what happened and what to do
pretrain.py   builds the embedded medqa-nano (a program of its own); held_out_text.py measures it
reading.py    what medqa-nano reads: open text, and the handbook in many forms
"""
