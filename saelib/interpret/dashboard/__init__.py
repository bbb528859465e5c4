"""What does a feature look like? Cards of features, in one HTML file, in a notebook, and in a form for other viewers.

In: the profiles of four SAEs (`features.profiles`). Out: `dashboard.html`, which needs nothing beside it and no
network; the same cards in a notebook; JSON as Neuronpedia and SAEDashboard write it.

Public: `page.write_dashboard`, `page.page_cards` and `page.dashboard_html`; `notebook.notebook_view`;
`neuronpedia.write_neuronpedia`; `cards.Card`, what all of them show.

Own templates, because what there is does not fit: sae-dashboard 0.8.0 (0.1 MB) wants transformers below 4.57 and
transformer-lens below 3, so it cannot stand beside this library; circuitsvis 1.43.3 (1.8 MB, last release in December
2024) asks the network whether it is there and then fetches a React bundle; delphi 0.1.3 (0.1 MB) needs vllm and
bitsandbytes, and its pictures plotly. None shows four SAEs side by side, or can be read without colour.
"""
