"""The page: the only folder that imports gradio.

page.py            the whole page: header, tabs, launch settings
answer_tab.py      ask and explain; question_fields.py what is asked, as fields
fine_tune_tab.py   settings, start, stop, live progress
shown_run.py       a run as HTML, made once for all who watch it
past_runs.py       all runs, compared
about_tab.py       what the embedded model and the handbook are
panels/            what opens under an answer: probes, receipt, dispute
answering.py       engines loaded behind the page
spec_form.py       the settings of a run as a form
upload_box.py      own questions as its data set
downloads.py       texts as files to download
own_machine.py     who may reach a page that is for this machine alone
request_limits.py  how large a request may be, and what may lie about of uploads
telling.py         errors in words, on a public page without the folders of the machine
views.py           values to HTML; run_views.py runs, receipt_view.py a receipt, probe_views/ each probe's result
charts.py          curves to SVG
"""
