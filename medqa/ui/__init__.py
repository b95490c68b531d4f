"""The page: the only folder that imports gradio.

page.py            the whole page: header, tabs, launch settings
answer_tab.py      ask and explain
fine_tune_tab.py   settings, start, stop, live progress
past_runs.py       all runs, compared
answering.py       engines loaded behind the page
views.py           values to HTML
charts.py          curves to SVG
"""
