"""What the prose of notebooks claims in fixed words of numbers that a run computes.

Notebook -> words of its prose -> an expression over what the notebook has computed at its end.
`test_run.py` runs every notebook with a seed that its author did not look at, and evaluates these.
A sentence that says less than the cell above it prints needs no line here; one that a run could
contradict does.
"""

CLAIMS: dict[str, dict[str, str]] = {
    "10_raw": {
        "Pixel by pixel there is not much between the two": (
            "all(abs(psnr(through_file(s, r), normal) - psnr(through_raw(s, r), normal)) < "
            "0.5 for r, s in dark.items())"
        ),
        "The loss shows where one averages": (
            "all(psnr(raw_averaged(dark[r], r), smooth) > "
            "psnr(averaged(through_file(dark[r], r)), smooth) for r in RATIOS[1:])"
        ),
        "the dark gets lighter, and most of all in red and blue": (
            "(lambda d: d.mean() > 0 and d[1] < min(d[0], "
            "d[2]))((averaged(through_file(dark[RATIOS[2]], RATIOS[2])) - smooth).mean((0, "
            "1)))"
        ),
        "half open at first": "bool(half < 1e-5)",
        "What the cut at black does to the mean does count": (
            "color_error(with_libraw(camera.shoot(chart, RATIOS[2], seed), RATIOS[2]), "
            "chart) > 2 * color_error(with_libraw(camera.shoot(chart, RATIOS[0], seed), "
            "RATIOS[0]), chart)"
        ),
        "A transposed convolution of 2×2 with stride 2 is just that": "bool(np.abs(cells.swapaxes(1, 2).reshape(8, 10, 3) - wide[0]).max() < 1e-5)",
        "is a few electrons": "gray / RATIOS[-1] < 5",
    },
    "11_exposures": {
        "The weighted mean of the photos is full of specks": (
            "bool(np.abs(laplace(core.luminance(naive))).mean() > 1.2 * "
            "np.abs(laplace(core.luminance(fused))).mean())"
        ),
        "Adding all up gives the photo back": "bool(np.abs(collapse(levels) - truth).max() < 1e-5)",
        "How much nearer is it to the scene in even light?": (
            "(lambda near: near(fused) > max(near(shots[best]), near(naive)))(lambda x: "
            "psnr(core.expose(x, core.exposure_gain(x, "
            "float(truth.mean()))).astype('float32'), truth))"
        ),
        "Far apart they share too little; close together they know no more than one": "max(by_distance[k] for k in (1, 2, 3)) > max(by_distance[0], by_distance[4])",
        "the photos it meets decide what a": (
            "all(records['all'][b]['mean_after'] < records['dark photos'][b]['mean_after'] "
            "for b in ('up to 2 too light', '2 or more too light') if b in records['all'])"
        ),
        "it keeps white white": (
            "bool(np.allclose(networks['all'].enhance(np.ones((48, 48, 3), np.float32)), 1, "
            "atol=1e-3))"
        ),
        "With one level it is the weighted mean": "bool(np.allclose(fuse(photos, 1), naive, atol=1e-4))",
    },
    "12_lumen": {
        "Two such exposures in turn are one": (
            "bool(np.allclose(twice, expose(low, 12.0), atol=1e-6) and "
            "np.allclose(expose(twice, 1 / 12), low, atol=1e-6))"
        ),
        "the untrained network puts out the exposed photo": "bool(np.abs(np.asarray(untrained)[0] - expose(low, gain)).max() < 1e-5)",
        "no value may get nearer to white than half of what the exposed photo leaves": (
            "bool((1 - np.asarray(network([low[None], np.array([[gain]], 'float32')]))[0] >= "
            "0.5 * (1 - expose(low, gain)) - 1e-5).all())"
        ),
        "how a slider can set the brightness of the result to the percent": "bool(np.abs(reached / levels - 1).max() < 0.01)",
        "on LOL `mirnet`, which computes at full resolution, has more of it": (
            "shipped['lol_val']['mirnet']['summary']['ssim']['mean'] > "
            "shipped['lol_val']['lumen']['summary']['ssim']['mean']"
        ),
        "Structure lags behind the goals": (
            "all(shipped[r][m]['summary']['ssim']['mean'] < goal for r, m, metric, goal in "
            "GOALS if metric == 'ssim')"
        ),
        "the gains of there and back are inverse to each other": "bool(abs(there * back - 1) < 1e-2)",
        "takes all colour out of the result for a photo without any": "bool(np.ptp(kept.enhance(gray), axis=-1).max() == 0)",
    },
    "13_retinex": {
        "Half the paint and twice the light make the same photo": "np.allclose(reflectance / 2 * (2 * light)[..., None], scene)",
        "A small one takes away the threads and keeps the lamp": "log_error(estimates['alpha 0.001'], light) < log_error(guess, light) / 2",
        "the paper's 0.15 takes away the lamp as well": "log_error(estimates['alpha 0.15'], light) > log_error(guess, light)",
        "All three splits give back the photos exactly": "all(float(terms(photos, s)['reconstruction']) < 1e-6 for s in splits.values())",
        "Smoothness likes the second best of all": "min(splits, key=lambda n: float(terms(photos, splits[n])['aware'])) == 'all paint'",
        "Only the shared reflectance objects": "max(splits, key=lambda n: float(terms(photos, splits[n])['shared'])) == 'all paint'",
        "it likes the third as well as the truth": "float(terms(photos, splits['brightest channel'])['shared']) < 1e-5",
        "the noise is where it has to be, in the reflectance of the dark photo": "roughness(dark_paint.mean(-1)) > roughness(lit_paint.mean(-1))",
        "Whatever is dark over an area is taken for shade": "covered < plain / 2",
        "so a warm lamp ends up in the paint": (
            "all(p.mean((0, 1))[0] > 1.5 * p.mean((0, 1))[2] for p in (warm, parts_of(warm, "
            "kept_split)[0]))"
        ),
        "With a high price for every slope there is none": "np.allclose(flat, guess.mean())",
    },
}
