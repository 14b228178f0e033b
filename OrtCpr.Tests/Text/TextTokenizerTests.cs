using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.Tokenizers;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Text;

namespace OrtCpr.Tests.Text;

// Ids by hand, from the tokenizers' published rules.
[TestClass]
public sealed class TextTokenizerTests
{
    private static void Ids(IReadOnlyList<int> actual, params int[] expected) => CollectionAssert.AreEqual(expected, actual.ToArray());

    private static void Refused(Action action, params string[] parts)
    {
        string message = Assert.ThrowsExactly<DataFileException>(action).Message;
        foreach (string part in parts) StringAssert.Contains(message, part);
    }

    [TestMethod]
    public void WordPiece_TakesWordsApart_AndPutsClsAndSepAround()
    {
        using var folder = new TemporaryFolder();
        TextTokenizer tokenizer = TextTokenizer.Open(SmallTokenizers.WordPiece(folder));
        Ids(tokenizer.Encode("Hello worlds! unaffable 中 xyz"), 5, 6, 7, 8, 9, 10, 11, 13, 1);
        Assert.AreEqual(14, tokenizer.VocabularySize);
        Ids(tokenizer.Encode("hello", null, 10).Ids, 2, 5, 3);
        TokenizedText pair = tokenizer.Encode("hello world", "un", 10);
        Ids(pair.Ids, 2, 5, 6, 3, 9, 3);
        Assert.AreEqual(4, pair.FirstLength);
        Assert.AreEqual(1, tokenizer.Special.SecondType);
        Assert.IsEmpty(tokenizer.Encode(""));
    }

    // The programs run without culture data, in which string.Normalize does nothing.
    [TestMethod]
    [DataRow("café")]
    [DataRow("CAFÉ")]
    [DataRow("cafe\u0301")]
    [DataRow("çäfê")]
    public void WordPiece_WithoutCapitals_TakesAccentsOff(string text)
    {
        using var folder = new TemporaryFolder();
        Ids(TextTokenizer.Open(SmallTokenizers.WordPiece(folder)).Encode(text), 12);
    }

    // Hangul by Unicode's arithmetic, a letter of two parts, and what is no letter with an accent.
    [TestMethod]
    [DataRow("한글", "\u1112\u1161\u11AB\u1100\u1173\u11AF")]
    [DataRow("가", "\u1100\u1161")]
    [DataRow("ǖÅñḀ", "uAnA")]
    [DataRow("\u09CB", "\u09C7\u09BE")]
    [DataRow("ßøł😀日", "ßøł😀日")]
    public void Accents_ComeOff_AsCanonicalDecompositionHasIt(string text, string expected) =>
        Assert.AreEqual(expected, AccentFolding.Of(text, new BertOptions { RemoveNonSpacingMarks = true }));

    [TestMethod]
    public void WordPiece_KeepsCapitals_WhereItsWordsHaveThem_OrItsConfigurationSaysSo()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllLines(folder["vocab.txt"], [.. SmallTokenizers.Words, "Hello"]);
        Ids(TextTokenizer.Open(folder.FolderPath).Encode("Hello hello"), 14, 5);
        Ids(TextTokenizer.Open(folder.FolderPath, lowerCase: true).Encode("Hello hello"), 5, 5);
        File.WriteAllText(folder["tokenizer_config.json"],
            """{"do_lower_case": true, "model_max_length": 128}""");
        Ids(TextTokenizer.Open(folder.FolderPath).Encode("Hello hello"), 5, 5);
        Assert.AreEqual(128, TextTokenizer.Open(folder.FolderPath).MaxLength);
    }

    [TestMethod]
    public void BytePairs_GoTogether_AndRobertaHasTwoSeparatorsInAPair()
    {
        using var folder = new TemporaryFolder();
        TextTokenizer tokenizer = TextTokenizer.Open(SmallTokenizers.BytePair(folder));
        Ids(tokenizer.Encode("low lower"), 11, 12, 13);
        Ids(tokenizer.Encode("low</s> low"), 11, 2, 12);
        Ids(tokenizer.Encode("low", "er", 10).Ids, 0, 11, 2, 2, 13, 2);
        Assert.AreEqual(0, tokenizer.Special.SecondType);
        Assert.AreEqual(1, tokenizer.Special.Padding);
        Ids(TextTokenizer.Open(folder["merges.txt"]).Encode("low"), 11);
        // The library leaves out bytes that it has no token for; here that is said.
        Refused(() => tokenizer.Encode("low z"), "no token for the byte 0x7A", "'low z'");
    }

    // Published with GPT2: the ids of "Hello world".
    [TestMethod]
    public void Gpt2_IsAnyTokenizerOfTheLibrary()
    {
        var tokenizer = TextTokenizer.Of(TiktokenTokenizer.CreateForModel("gpt2"), 50257);
        Ids(tokenizer.Encode("Hello world"), 15496, 995);
        Ids(tokenizer.Encode("Hello world", null, 1).Ids, 15496);
    }

    // One unknown token for a run of unknown characters, as SentencePiece has it.
    [TestMethod]
    public void SentencePiece_OfBothKinds()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["spm.model"], SmallTokenizers.SentencePiece());
        TextTokenizer tokenizer = TextTokenizer.Open(folder.FolderPath);
        Ids(tokenizer.Encode("low lower zz"), 3, 3, 8, 4, 0);
        Ids(tokenizer.Encode("low", null, 10).Ids, 1, 3);
        File.WriteAllText(folder["tokenizer_config.json"],
            """{"add_bos_token": false, "add_eos_token": true, "model_max_length": 1000000000000000019884624838656}""");
        Ids(TextTokenizer.Open(folder.FolderPath).Encode("low", "low", 10).Ids, 3, 2, 3, 2);
        Assert.IsNull(TextTokenizer.Open(folder.FolderPath).MaxLength);
        File.WriteAllText(folder["tokenizer_config.json"], """{"tokenizer_class": "XLMRobertaTokenizer"}""");
        Refused(() => TextTokenizer.Open(folder.FolderPath), "XLMRobertaTokenizer", "ids of their own");
        File.Delete(folder["tokenizer_config.json"]);
        File.WriteAllBytes(folder["spm.model"], SmallTokenizers.SentencePiece(start: -1));
        Refused(() => TextTokenizer.Open(folder.FolderPath), "spm.model", "below 0");
    }

    private static JsonObject Bert() => new()
    {
        ["truncation"] = new JsonObject { ["max_length"] = 64, ["strategy"] = "LongestFirst", ["direction"] = "Right" },
        ["added_tokens"] = new JsonArray([.. SmallTokenizers.Words.Take(5).Select((t, i) => (JsonNode?)new JsonObject
        {
            ["id"] = i, ["content"] = t, ["special"] = true, ["lstrip"] = false, ["rstrip"] = false, ["single_word"] = false,
        })]),
        ["normalizer"] = new JsonObject
        {
            ["type"] = "BertNormalizer",
            ["clean_text"] = true,
            ["handle_chinese_chars"] = true,
            ["strip_accents"] = null,
            ["lowercase"] = true,
        },
        ["pre_tokenizer"] = new JsonObject { ["type"] = "BertPreTokenizer" },
        ["post_processor"] = JsonNode.Parse("""
            {"type": "TemplateProcessing",
             "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                        {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
             "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                      {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}},
                      {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
             "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                 "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}}
            """),
        ["model"] = new JsonObject
        {
            ["type"] = "WordPiece",
            ["unk_token"] = "[UNK]",
            ["continuing_subword_prefix"] = "##",
            ["max_input_chars_per_word"] = 100,
            ["vocab"] = new JsonObject(SmallTokenizers.Words.Select((t, i) => KeyValuePair.Create(t, (JsonNode?)i))),
        },
    };

    private static JsonObject Roberta() => new()
    {
        ["added_tokens"] = JsonNode.Parse("""[{"id": 14, "content": "<mask>", "lstrip": true}, {"id": 2, "content": "</s>"}]"""),
        ["normalizer"] = null,
        ["pre_tokenizer"] = JsonNode.Parse("""{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}"""),
        ["post_processor"] =
            JsonNode.Parse("""{"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": true}"""),
        ["model"] = new JsonObject
        {
            ["type"] = "BPE",
            ["dropout"] = null,
            ["unk_token"] = null,
            ["continuing_subword_prefix"] = "",
            ["end_of_word_suffix"] = "",
            ["fuse_unk"] = false,
            ["byte_fallback"] = false,
            ["vocab"] = JsonNode.Parse(JsonSerializer.Serialize(SmallTokenizers.Pieces)),
            ["merges"] = new JsonArray([.. SmallTokenizers.Merges.Select(m => (JsonNode?)m)]),
        },
    };

    [TestMethod]
    public void TokenizerJson_OfBertAndRoberta()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["tokenizer.json"], Bert().ToJsonString());
        TextTokenizer bert = TextTokenizer.Open(folder.FolderPath);
        TokenizedText pair = bert.Encode("Hellö worlds", "un", 10);
        Ids(pair.Ids, 2, 5, 6, 7, 3, 9, 3);
        Assert.AreEqual(5, pair.FirstLength);
        Assert.AreEqual((1, 64), (bert.Special.SecondType, bert.MaxLength!.Value));
        File.WriteAllText(folder["tokenizer.json"], Roberta().ToJsonString());
        TextTokenizer roberta = TextTokenizer.Open(folder.FolderPath);
        Ids(roberta.Encode("low lower", "er", 10).Ids, 0, 11, 12, 13, 2, 2, 13, 2);
        Assert.AreEqual((15, 1), (roberta.VocabularySize, roberta.Special.Padding));
        Refused(() => roberta.Encode("low <mask>"), "'<mask>'");
        JsonObject pairs = Roberta();
        pairs["model"]!["merges"] = new JsonArray([.. SmallTokenizers.Merges.Select(m => (JsonNode?)new JsonArray([.. m.Split(' ')
            .Select(p => (JsonNode?)p)]))]);
        pairs["pre_tokenizer"]!["add_prefix_space"] = true;
        File.WriteAllText(folder["tokenizer.json"], pairs.ToJsonString());
        Ids(TextTokenizer.Open(folder.FolderPath).Encode("low low"), 12, 12);
    }

    [TestMethod]
    [DataRow("normalizer", """{"type": "Sequence", "normalizers": []}""", "normalizer Sequence (BertNormalizer is done)")]
    [DataRow("normalizer", """{"type": "BertNormalizer", "clean_text": false}""", "clean_text = false")]
    [DataRow("normalizer", "null", "there is no normalizer")]
    [DataRow("pre_tokenizer", """{"type": "Whitespace"}""", "pre_tokenizer Whitespace (BertPreTokenizer is done)")]
    [DataRow("post_processor", """{"type": "Sequence", "processors": []}""", "post_processor Sequence")]
    [DataRow("truncation", """{"max_length": 3, "strategy": "OnlyFirst", "direction": "Left"}""",
        "truncation on the left; truncation OnlyFirst")]
    [DataRow("padding", """{"direction": "Left"}""", "padding on the left")]
    [DataRow("model", """{"type": "Unigram", "vocab": []}""", "'Unigram'; expected WordPiece or BPE. Name the SentencePiece file")]
    [DataRow("model", """{"type": "WordPiece", "vocab": {"a": 0, "b": 7}}""", "no token has the id")]
    [DataRow("model", """{"type": "WordPiece", "vocab": {"a": "x"}}""", "token 'a' has the id \"x\"")]
    [DataRow("model", """{"type": "WordPiece"}""", "no object 'vocab'")]
    public void TokenizerJson_WhatIsNotDone_IsNamed(string part, string value, string expected)
    {
        using var folder = new TemporaryFolder();
        JsonObject all = Bert();
        all[part] = JsonNode.Parse(value);
        File.WriteAllText(folder["tokenizer.json"], all.ToJsonString());
        Refused(() => TextTokenizer.Open(folder.FolderPath), folder["tokenizer.json"], expected);
    }

    [TestMethod]
    [DataRow("byte_fallback", "true", "byte_fallback = true")]
    [DataRow("end_of_word_suffix", "\"</w>\"", "end_of_word_suffix = '</w>'")]
    [DataRow("dropout", "0.1", "dropout = 0.1")]
    [DataRow("merges", "[\"l o\", \"l q\"]", "merge 2, 'l q': 'q' is not in the vocabulary")]
    [DataRow("merges", "null", "no list 'merges'")]
    public void TokenizerJson_OfBytePairs_WhatIsNotDone_IsNamed(string member, string value, string expected)
    {
        using var folder = new TemporaryFolder();
        JsonObject all = Roberta();
        all["model"]![member] = JsonNode.Parse(value);
        File.WriteAllText(folder["tokenizer.json"], all.ToJsonString());
        Refused(() => TextTokenizer.Open(folder.FolderPath), folder["tokenizer.json"], expected);
    }

    [TestMethod]
    public void WhatIsNoTokenizer_IsNamed()
    {
        using var folder = new TemporaryFolder();
        Refused(() => TextTokenizer.Open(folder.FolderPath), folder.FolderPath, "has no tokenizer; expected tokenizer.json");
        Assert.ThrowsExactly<FileAccessException>(() => TextTokenizer.Open(folder["nothing"]));
        File.WriteAllText(folder["words.bin"], "");
        Refused(() => TextTokenizer.Open(folder["words.bin"]), "not known what tokenizer");
        File.WriteAllLines(folder["vocab.txt"], ["hello", "world", "hello"]);
        Refused(() => TextTokenizer.Open(folder.FolderPath), "'hello' is token 0 and 2", "no token [UNK], [CLS], [SEP], [PAD], [MASK]");
        File.WriteAllBytes(folder["vocab.txt"], [97, 10, 0xFF]);
        Refused(() => TextTokenizer.Open(folder.FolderPath), "offset 2");
        File.Delete(folder["vocab.txt"]);
        File.WriteAllText(folder["vocab.json"], "{\"a\": 1,\n}");
        Refused(() => TextTokenizer.Open(folder.FolderPath), "merges.txt", "is missing");
        File.WriteAllText(folder["merges.txt"], "");
        Refused(() => TextTokenizer.Open(folder.FolderPath), "vocab.json', line 2");
        foreach (byte[] bytes in new byte[][] { [], [1, 2, 3], SmallTokenizers.SentencePiece()[..40] })
        {
            File.WriteAllBytes(folder["x.model"], bytes);
            Refused(() => TextTokenizer.Open(folder["x.model"]), folder["x.model"]);
        }
    }

    // The longer text gives first; of an odd room the first text has one token more.
    [TestMethod]
    [DataRow(4, 2, 9, 4, 2)]
    [DataRow(4, 2, 8, 3, 2)]
    [DataRow(1, 4, 7, 1, 3)]
    [DataRow(4, 2, 6, 2, 1)]
    [DataRow(4, 4, 8, 3, 2)]
    public void Pairs_AreCutAtTheLongerText(int first, int second, int length, int keptOfFirst, int keptOfSecond)
    {
        using var folder = new TemporaryFolder();
        TextTokenizer tokenizer = TextTokenizer.Open(SmallTokenizers.WordPiece(folder));
        TokenizedText text = tokenizer.Encode(string.Join(' ', Enumerable.Repeat("hello", first)),
            string.Join(' ', Enumerable.Repeat("world", second)), length);
        Ids(text.Ids, [2, .. Enumerable.Repeat(5, keptOfFirst), 3, .. Enumerable.Repeat(6, keptOfSecond), 3]);
        Assert.AreEqual(first + second > length - 3, text.IsCut);
        Assert.ThrowsExactly<OptionException>(() => tokenizer.Encode("hello", "world", 4));
    }
}
