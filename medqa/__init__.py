"""MedQA: fine-tune a LoRA adapter on medical exam questions; answer and explain with it.

A question
    question.py       Question, Answer, Explanation: the values every stage passes on
    paste.py          a pasted text to a Question; pasted_options.py finds options, pasted_key.py key and explanation
    prompt.py         a Question to chat messages, to option tokens, to a training example: the only template
    words.py          the words of a text, as questions are compared by them
    datasets/         one file per data set: rows to Questions, with fixed splits

Answering it
    device.py         which device and number format, and why; memory. gpus.py counts GPUs without torch
    hub.py            files from the Hugging Face Hub, safetensors only
    base_model.py     a base model's files: where they are, which revision
    model.py          a base model with its tokenizer, and adapters attached by name; turns.py says who is next
    trial_pass.py     whether answers can be computed with a base model's network
    engine.py         score the options, write the explanation
    read_prompts.py   prompts a network has read, to go on from
    reader.py         reads them for several who ask at the same time
    batch.py          texts that grow together; graphed_batch.py the same on a GPU, lean_decoder.py
                      a step on a CPU; writing.py steps them
    adapters.py       adapters found on disk or named on the Hub
    training_rows.py  the rows an adapter was trained on, with an index of their words

What to think of the answer
    scope.py          when it is a guess, in words; exception_asked.py whether the exception is asked for
    trust.py          how often an adapter was right when as sure as now; said.py is what a card says of both
    probes/           what it hangs on, one file each
    evaluate.py       accuracy, interval, by subject, calibration
    receipt.py        an answer with all that is needed to get it again; reproduce.py gets it and says what differs
    disputes.py       what clinicians hold against answers

A run
    spec.py           the settings of a run, checked; the presets
    estimate.py       what a run will take; a preview of its examples. passes.py: how much a model computes at a time
    uploads.py        people's own files, kept beside the runs
    offered.py        what the page lets people choose, and visitors of a public one; visitors.py makes room for theirs
    launch.py         start, stop, resume the training process; standby.py has one ready, lock_holder.py ends one
    runs.py           the run record: folder, events, derived status
    export.py         a run as one JSON or as a TensorBoard log

Used by people
    settings.py       folders and limits, from the environment; folders.py leaves folders out of what people are told,
                      errors.py is the root of what they are told
    ui/               the page; the only folder that imports gradio
    commands.py       the command line (python -m medqa): run_commands.py, answer_commands.py, probe_command.py and
                      receipt_commands.py are its parts, command_line.py what they share

Imports go down only: ui and commands, then scope, probes and evaluate and adapters, then engine, model, device; and
launch, then runs.
"""
