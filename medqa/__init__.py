"""MedQA: fine-tune a LoRA adapter on medical exam questions; answer and explain with it.

    question.py    Question, Answer, Explanation: the values every stage passes on
    words.py       the words of a text, as questions are compared by them
    paste.py       a pasted text to a Question
    prompt.py      a Question to chat messages, to option tokens, to a training example: the only template
    datasets/      one file per data set: rows to Questions, with fixed splits
    settings.py    folders and limits, from the environment
    gpus.py        how many GPUs there are, without torch
    device.py      which device and number format, and why; memory
    hub.py         files from the Hugging Face Hub, safetensors only
    model.py       a base model with its tokenizer, and adapters attached by name
    engine.py      score the options, write the explanation
    adapters.py    adapters found on disk or named on the Hub
    training_rows.py  the rows an adapter was trained on, with an index of their words
    evaluate.py    accuracy, interval, by subject, calibration
    scope.py       when an answer is a guess, in words
    trust.py       how often an adapter was right when as sure as now
    spec.py        the settings of a run, checked; the presets
    runs.py        the run record: folder, events, derived status
    launch.py      start, stop, resume the training process
    estimate.py    what a run will take; a preview of its examples
    export.py      a run as one JSON or as a TensorBoard log
    receipt.py     an answer with all that is needed to get it again; reproduce.py gets it and says what differs
    disputes.py    what clinicians hold against answers
    commands.py    the command line (python -m medqa); receipt_commands.py two of its commands
    probe_command.py  its probes
    command_line.py   what its commands share
    ui/            the page; the only folder that imports gradio

Imports go down only: ui, then evaluate and adapters, then engine, model, device; and launch, then runs.
"""
