"""What the prose of notebooks claims in fixed words of numbers that a run computes.

Notebook -> words of its prose -> an expression over what the notebook has computed at its end.
`test_run.py` runs every notebook with a seed that its author did not look at, and evaluates these.
A sentence that says less than the cell above it prints needs no line here; one that a run could
contradict does.
"""

CLAIMS: dict[str, dict[str, str]] = {
    "13_retinex": {
        "Half the paint and twice the light make the same photo": (
            "np.allclose(reflectance / 2 * (2 * light)[..., None], scene)"
        ),
        "A small one takes away the threads and keeps the lamp": (
            "log_error(estimates['alpha 0.001'], light) < log_error(guess, light) / 2"
        ),
        "the paper's 0.15 takes away the lamp as well": (
            "log_error(estimates['alpha 0.15'], light) > log_error(guess, light)"
        ),
        "All three splits give back the photos exactly": (
            "all(float(terms(photos, s)['reconstruction']) < 1e-6 for s in splits.values())"
        ),
        "Smoothness likes the second best of all": (
            "min(splits, key=lambda n: float(terms(photos, splits[n])['aware'])) == 'all paint'"
        ),
        "Only the shared reflectance objects": (
            "max(splits, key=lambda n: float(terms(photos, splits[n])['shared'])) == 'all paint'"
        ),
        "it likes the third as well as the truth": (
            "float(terms(photos, splits['brightest channel'])['shared']) < 1e-5"
        ),
        "the noise is where it has to be, in the reflectance of the dark photo": (
            "roughness(dark_paint.mean(-1)) > roughness(lit_paint.mean(-1))"
        ),
        "Whatever is dark over an area is taken for shade": "covered < plain / 2",
        "so a warm lamp ends up in the paint": (
            "all(p.mean((0, 1))[0] > 1.5 * p.mean((0, 1))[2]"
            " for p in (warm, parts_of(warm, kept_split)[0]))"
        ),
        "With a high price for every slope there is none": "np.allclose(flat, guess.mean())",
    },
}
