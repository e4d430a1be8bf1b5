"""What becomes of every public test file: the table of docs/formats.md."""

from collections import Counter

import pytest

from curation import ingest as ing
from curation.ingest import IngestParams, SourceParams

# file: (rows, kind, {reason: quarantined}); the files of a folder share one line
FILES = {
    "FastChat/dummy_conversation.json": (500, "chat", {}),
    "FastChat/mt_bench/question.jsonl": (0, "", {"missing_answer": 80}),
    "FastChat/mt_bench/reference_answer_gpt-4.jsonl": (0, "", {"missing_answer": 30}),
    "LLaMA-Factory/alpaca_en_demo.json": (999, "chat", {}),
    "LLaMA-Factory/alpaca_zh_demo.json": (1000, "chat", {}),
    "LLaMA-Factory/c4_demo.jsonl": (300, "text", {}),
    "LLaMA-Factory/dataset_info.json": (0, "", {"unknown_layout": 1}),
    "LLaMA-Factory/dpo_en_demo.json": (300, "chat", {}),
    "LLaMA-Factory/dpo_zh_demo.json": (300, "chat", {}),
    "LLaMA-Factory/glaive_toolcall_en_demo.json": (300, "chat", {}),
    "LLaMA-Factory/glaive_toolcall_zh_demo.json": (300, "chat", {}),
    "LLaMA-Factory/identity.json": (91, "chat", {}),
    "LLaMA-Factory/kto_en_demo.json": (150, "chat", {"negative_feedback": 150}),
    "LLaMA-Factory/reason_tool_use_demo_50.jsonl": (50, "chat", {}),
    "LLaMA-Factory/v1_dpo_demo.jsonl": (10, "chat", {}),
    "LLaMA-Factory/v1_sft_demo.jsonl": (500, "chat", {}),
    "Open-Assistant/en_100_tree.jsonl": (100, "chat", {}),
    "SimpleSafetyTests/SimpleSafetyTests_test_cases.csv": (0, "", {"unknown_layout": 100}),
    "data-juicer/alpaca-cot.jsonl": (11, "chat", {}),
    "data-juicer/demo-dataset-annotation-human-preference.jsonl": (0, "", {"missing_answer": 10}),
    "data-juicer/demo-dataset-chatml.jsonl": (4, "chat", {}),
    "data-juicer/demo-dataset-deduplication.jsonl": (14, "text", {}),
    "data-juicer/demo-dataset.jsonl": (11, "text", {}),
    "data-juicer/question.jsonl": (0, "", {"missing_answer": 80}),
    "data-juicer/redpajama-c4-refined.jsonl": (10, "text", {}),
    "data-juicer/redpajama-cc-2023-06-refined.jsonl": (10, "text", {}),
    "data-juicer/redpajama-pile-stackexchange-refined.jsonl": (10, "text", {}),
    "data-juicer/sft_zh_alpaca-cot.jsonl": (50, "chat", {}),
    "data-juicer/the-pile-nih-refined.jsonl": (10, "text", {}),
    "data-juicer/the-pile-uspto-refined.jsonl": (10, "text", {}),
    "dolma/cc_en_head-0091.jsonl": (10, "text", {}),
    "efficient-language-detector/tweets.txt": (0, "", {"unknown_table": 9066}),
    "exaggerated-safety/xstest_prompts.csv": (0, "", {"missing_answer": 450}),
    "grade-school-math/test.jsonl": (1319, "chat", {}),
    "grade-school-math/train.jsonl": (7473, "chat", {}),
    "human-eval/HumanEval.jsonl.gz": (164, "chat", {}),
    "instruction_following_eval/input_data.jsonl": (0, "", {"missing_answer": 541}),
    "presidio-research/synth_dataset_v2.json": (0, "", {"unknown_layout": 1500}),
    "pycorrector/sighan_2015/test.json": (0, "", {"unknown_layout": 1100}),
    "pycorrector/sighan_2015/train.json": (0, "", {"unknown_layout": 2336}),
    "self-instruct/seed_tasks.jsonl": (175, "chat", {}),
    "self-instruct/user_oriented_instructions.jsonl": (252, "chat", {}),
    "text2vec/ATEC.test.data": (0, "", {"unknown_table": 20000}),
    "text2vec/stsbenchmark.tsv.gz": (0, "", {"unknown_table": 8629}),
}
LINES = {"LLaMA-Factory/wiki_demo.txt": 30, "pycorrector/wiki_zh_200.txt": 182}  # with `unit: line`


def read(path, **source):
    params = IngestParams(sources=(SourceParams(path=str(path), **source),))
    return next(ing._ranges(params, None, lambda *_: None, 1))


@pytest.mark.parametrize("name", FILES)
def test_public_files_become_what_the_docs_say(shared_data, name):
    rows, kind, reasons = FILES[name]
    good, bad = read(shared_data / name)
    assert (good.height, set(good["kind"]), Counter(bad["reason"])) == (rows, {kind} - {""}, reasons)


@pytest.mark.parametrize("name", LINES)
def test_texts_with_a_document_a_line(shared_data, name):
    good, bad = read(shared_data / name, unit="line")
    assert (good.height, bad.height) == (LINES[name], 0)


def test_templates_of_t0(shared_data):
    good, bad = read(shared_data / "self-instruct" / "t0_templates")
    assert (good.height, bad.height) == (21 * 200 + 142, 0)
    trec = good.filter(source="trec_trec1")["messages"].to_list()
    assert [m[1]["content"] for m in trec] == ["<|endoftext|>"] * 200  # empty but for the mark


def test_no_public_file_is_forgotten(shared_data):
    found = {p.relative_to(shared_data).as_posix() for p in shared_data.rglob("*") if p.is_file()}
    known = {*FILES, *LINES, "README.md"}
    assert {f for f in found if not f.startswith("self-instruct/t0_templates/")} == known
