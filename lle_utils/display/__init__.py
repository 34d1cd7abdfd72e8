"""Figures, sliders and pages."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "animations": ["animation"],
        "charts": [
            "cost_chart",
            "histograms",
            "interval_plot",
            "loss_curves",
            "plot_curves",
            "stacked_bars",
            "timeline",
        ],
        "contact_sheet": ["Window", "dark_windows", "draw_contact_sheet", "fit_within", "magnify"],
        "diagrams": ["boxed", "network_diagram"],
        "figure_style": [
            "NotebookFigure",
            "chart_axes",
            "color_bar",
            "draw_picture",
            "house_style",
            "picture_axes",
            "png",
        ],
        "html_page": ["Part", "write_page"],
        "html_templates": [
            "data_address",
            "markdown_html",
            "render_template",
            "template_loader",
        ],
        "plotting": [
            "Images",
            "before_after",
            "curve_maps",
            "difference",
            "pair_grid",
            "show_images",
            "wipe_image",
        ],
        "trial_charts": ["parallel_coordinates", "trial_curves"],
        "widgets": [
            "Render",
            "SliderBox",
            "Spec",
            "encode_png",
            "image_slider",
            "static",
            "upload_button",
            "uploaded_images",
            "wipe",
        ],
    },
)
