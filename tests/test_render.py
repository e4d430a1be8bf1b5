import json

import pytest

from curation.errors import ConfigError, DataError
from curation.records import message
from curation.render import Renderer

CALL = json.dumps([{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"b":  1.0}'}}])


def row(*messages, tools=None):
    return {"id": "r", "kind": "chat", "messages": list(messages), "tools": tools}


def learned(renderer, encoded):
    return renderer.tokenizer.decode([i for i, w in zip(encoded.ids, encoded.weights, strict=True) if w > 0])


def test_label_tokens_are_the_answers_and_their_end_token(renderer):
    record = row(
        message("system", "简短回答。"), message("user", "你好"), message("assistant", "您好！"),
        message("user", "2+2?"), message("assistant", "4"),
    )  # fmt: skip
    assert learned(renderer, renderer.encode(record)) == "您好！<|im_end|>4<|im_end|>"
    assert learned(renderer, renderer.encode(record, "last")) == "4<|im_end|>"


def test_zero_weight_turns_bear_no_loss_and_other_weights_pass(renderer):
    record = row(
        message("user", "a"), message("assistant", "no", loss_weight=0.0),
        message("user", "b"), message("assistant", "yes", loss_weight=0.5),
    )  # fmt: skip
    encoded = renderer.encode(record)
    assert learned(renderer, encoded) == "yes<|im_end|>"
    assert set(encoded.weights) == {0.0, 0.5}


def test_tool_schemas_and_arguments_stand_byte_for_byte(renderer):
    tools = '[{"type":"function",  "function": {"name": "f"}}]'
    record = row(
        message("user", "go"), message("assistant", "", tool_calls=CALL), message("tool", '{"ok": 1}'), message("assistant", "done"),
        tools=tools,
    )  # fmt: skip
    text = renderer.text(record)
    assert tools in text and '"arguments": {"b":  1.0}' in text
    assert learned(renderer, renderer.encode(record)) == (
        '<tool_call>{"name": "f", "arguments": {"b":  1.0}}</tool_call><|im_end|>done<|im_end|>'
    )


def test_prompt_tokens_are_those_of_inference(renderer):
    record = row(message("user", "Say hi"), message("assistant", "\n hi"))
    encoded = renderer.encode(record)
    prompt = renderer.tokenizer(renderer.prompt_text(record), add_special_tokens=False)["input_ids"]
    assert encoded.ids[: len(prompt)] == prompt
    assert encoded.weights[: len(prompt)] == [0.0] * len(prompt)


def test_text_rows_learn_all_but_the_opening_token(renderer):
    encoded = renderer.encode({"id": "t", "kind": "text", "text": "从前有座山。"})
    assert encoded.weights[0] == 0.0 and set(encoded.weights[1:]) == {1.0}
    assert renderer.tokenizer.decode(encoded.ids) == "<|endoftext|>从前有座山。<|endoftext|>"


def test_a_template_that_rewrites_history_is_refused_by_name(renderer, tmp_path):
    (tmp_path / "t.jinja").write_text(
        "{% for m in messages %}{{ m.role }}:{{ m.content if loop.last or m.role == 'user' else '…' }}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}"
    )
    odd = Renderer(renderer.tokenizer, str(tmp_path / "t.jinja"))
    with pytest.raises(ConfigError, match="template: record r: turn 4 renders differently once later turns follow"):
        odd.encode(
            row(message("user", "a"), message("assistant", "b"), message("user", "c"), message("assistant", "d"))
        )


def test_an_unknown_template_says_what_is_accepted(renderer):
    with pytest.raises(ConfigError, match="found 'chatlm'; accepted: chatml, model, or the path of a .jinja file"):
        Renderer(renderer.tokenizer, "chatlm")


def test_the_models_own_template_works_too(renderer):
    own = Renderer(renderer.tokenizer, "model")
    record = row(message("user", "a"), message("assistant", "b"), message("user", "c"), message("assistant", "d"))
    assert learned(own, own.encode(record)) == "b<|im_end|>d<|im_end|>"


def calling(arguments):
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return message("assistant", "", tool_calls=json.dumps([call]))


@pytest.fixture
def published(renderer, tmp_path):
    """A template as models publish them, in a file: schemas in `tools`, arguments as objects."""
    (tmp_path / "t.jinja").write_text(
        "{% for tool in tools or [] %}[{{ tool.function.name }}]{% endfor %}{% for m in messages %}{{ m.role }}:{{ m.content }}"
        "{% for call in m.tool_calls or [] %}{% for key, value in call.function.arguments.items() %}{{ key }}={{ value }}"
        "{% else %}nothing{% endfor %}{% endfor %}<|im_end|>{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
    )
    return Renderer(renderer.tokenizer, str(tmp_path / "t.jinja"))


@pytest.mark.parametrize("arguments", ["", " ", None, "{}", {}])
def test_a_call_without_arguments_is_an_empty_object(renderer, published, arguments):
    record = row(message("user", "几点了？"), calling(arguments))
    assert '{"name": "f", "arguments": {}}' in renderer.text(record)
    assert published.text(record) == "user:几点了？<|im_end|>assistant:nothing<|im_end|>"


def test_a_template_in_a_file_gets_tools_and_arguments_as_objects(published):
    record = row(message("user", "go"), calling('{"b":  1}'), tools='[{"type": "function", "function": {"name": "f"}}]')
    assert published.text(record) == "[f]user:go<|im_end|>assistant:b=1<|im_end|>"


def test_the_bundled_template_in_a_file_renders_as_the_bundled_one(renderer, tmp_path):
    (tmp_path / "mine.jinja").write_text(renderer.template)
    record = row(message("user", "go"), calling('{"b":  1}'), tools='[{"type":  "function"}]')
    assert Renderer(renderer.tokenizer, str(tmp_path / "mine.jinja")).text(record) == renderer.text(record)


def test_broken_arguments_name_the_row_where_objects_are_wanted(renderer, published):
    record = row(message("user", "go"), calling('{"b":'))
    assert '"arguments": {"b":}' in renderer.text(record)
    with pytest.raises(DataError) as error:
        published.text(record)
    assert str(error.value) == (
        "template: record r: its tools or a call's arguments are not JSON (Expecting value: line 1 column 6 (char 5)), and this "
        "template takes them as objects; mend or reject the row, or use render.template: chatml."
    )
