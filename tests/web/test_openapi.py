"""The description of the interface tells the routes as they are; no server runs for this."""

import dataclasses
from importlib.util import find_spec

import pytest
from PIL import features

pytest.importorskip("flask", reason="the web page needs flask: pip install 'lle-utils[serve]'")

from flask import Flask

from lle_utils.serving import limits, request_checks
from lle_utils.serving.openapi import openapi_document
from lle_utils.serving.routes import routes
from lle_utils.serving.service import offered_methods

PAGE_FILES = {"/", "/page.css", "/page.js"}  # for a browser; everything else is documented
ADDED_BY_FLASK = {"HEAD", "OPTIONS"}


@pytest.fixture(scope="module")
def document():
    return openapi_document(limits.Limits(megabytes=8, megapixels=4.5), offered_methods())


@pytest.fixture(scope="module")
def enhance(document):
    return document["paths"]["/api/enhance"]["post"]


def test_every_route_for_programs_is_documented_with_its_methods_and_no_other(document):
    app = Flask(__name__, static_folder=None)
    app.register_blueprint(routes)
    found = {(r.rule, m) for r in app.url_map.iter_rules() for m in r.methods - ADDED_BY_FLASK}
    assert {path for path, _ in found} >= PAGE_FILES
    told = {(path, m.upper()) for path, item in document["paths"].items() for m in item}
    assert told == {(path, method) for path, method in found if path not in PAGE_FILES}


def test_parameters_are_those_that_are_read_with_their_defaults(document, enhance):
    told = {p["name"]: p["schema"] for p in enhance["parameters"]}
    assert tuple(told) == request_checks.QUERY_NAMES
    others = {path for path, item in document["paths"].items() if "parameters" in str(item)}
    assert others == {"/api/enhance"}
    app = Flask(__name__)
    with app.test_request_context("/"):
        default = {name: schema["default"] for name, schema in told.items()}
        assert default["level"] == "auto"
        query = request_checks.read_query(offered_methods())
        assert query._asdict() == {**default, "level": None}


def test_values_are_those_that_the_server_takes_and_gives(enhance):
    method, level, answer = (p["schema"] for p in enhance["parameters"])
    assert method["enum"] == [entry["name"] for entry in offered_methods()]
    number, automatic = level["anyOf"]
    assert (number["exclusiveMinimum"], number["exclusiveMaximum"]) == (0, 1)
    assert automatic["const"] == level["default"] == "auto"
    assert tuple(answer["enum"]) == limits.ANSWER_FORMATS
    photo = enhance["responses"]["200"]["content"]
    assert list(photo) == [f"image/{kind}" for kind in limits.ANSWER_FORMATS]
    sent = enhance["requestBody"]["content"]
    assert list(sent) == limits.media_types()
    wait = enhance["responses"]["503"]["headers"]["Retry-After"]["schema"]
    assert wait["maximum"] == limits.MAX_RETRY_SECONDS


def test_photos_of_phones_are_taken_where_their_library_is():
    taken = limits.media_types()
    assert taken[:5] == [f"image/{kind.lower()}" for kind in limits.READABLE_FORMATS]
    assert ("image/heic" in taken) == (find_spec("pillow_heif") is not None)
    assert ("image/avif" in taken) == features.check("avif")


def test_limits_stand_in_the_texts_and_no_placeholder_is_left(document, enhance):
    assert enhance["responses"]["413"]["description"] == "more than 8 MB or 4.5 megapixels"
    assert enhance["responses"]["504"]["description"] == "the photo takes longer than 60 s"
    assert "$" not in str(document).replace("'$ref'", "")


def test_the_shape_of_the_limits_is_that_of_the_limits(document):
    told = document["components"]["schemas"]["Limits"]
    names = [field.name for field in dataclasses.fields(limits.Limits)]
    assert names == list(told["properties"]) == told["required"]
