import { expect, test } from "vitest";
import { tokenizerFacts } from "./tokenizer";

test("tokens as text and as objects, added ones once, one template or several", () => {
  const facts = tokenizerFacts(
    JSON.stringify({
      tokenizer_class: "LlamaTokenizerFast",
      model_max_length: 131072,
      bos_token: { content: "<s>", lstrip: false },
      eos_token: "</s>",
      pad_token: null,
      added_tokens_decoder: { 0: { content: "<unk>" }, 1: { content: "<s>" }, 2: { content: "<tool>" } },
      additional_special_tokens: ["<tool>", "<end>"],
      chat_template: [
        { name: "default", template: "{{ a }}" },
        { name: "tool_use", template: "{{ b }}" },
      ],
    }),
  );
  expect(facts).toEqual({
    className: "LlamaTokenizerFast",
    maxLength: 131072,
    special: [
      ["BOS", "<s>"],
      ["EOS", "</s>"],
    ],
    added: ["<unk>", "<s>", "<tool>", "<end>"],
    templates: [
      ["default", "{{ a }}"],
      ["tool_use", "{{ b }}"],
    ],
  });
});

test("an absurdly large length is none, and nonsense is ignored", () => {
  expect(tokenizerFacts('{"model_max_length": 1000000000000000019884624838656, "chat_template": "x"}')).toEqual({
    className: "",
    maxLength: 0,
    special: [],
    added: [],
    templates: [["", "x"]],
  });
  expect(tokenizerFacts('{"added_tokens_decoder": [1], "chat_template": 3, "bos_token": 4}')).toMatchObject({
    special: [],
    added: [],
    templates: [],
  });
  expect(tokenizerFacts("[]")).toBeUndefined();
  expect(tokenizerFacts("{")).toBeUndefined();
});
