using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Tests.Audio;
using OrtCpr.Tests.Text;

namespace OrtCpr.Tests.Tool;

// Texts and sounds by the command line.
[TestClass]
[DoNotParallelize]
public sealed class TextCommandTests
{
    private static readonly string[] Topics = ["sport", "art", "food"];

    // Each topic has a word of its own.
    private static string Table(TemporaryFolder folder, string name, params string[] topics)
    {
        string[] words = ["hello", "un", "cafe"];
        File.WriteAllText(folder[name], "text,topic\n" + string.Join('\n', topics.Select((t, i) =>
            $"{string.Join(' ', Enumerable.Repeat(words[Array.IndexOf(Topics, t)], 1 + (i % 4)))} world,{t}")) + "\n");
        return folder[name];
    }

    private static string[] Many(int count) => [.. Enumerable.Range(0, count).Select(i => Topics[i % 3])];

    [TestMethod]
    public void Train_OnTexts_LearnsTheTopics_AndEvaluateKeepsTheirNumbers()
    {
        using var folder = new TemporaryFolder();
        SmallTokenizers.WordPiece(folder);
        string model = TextModels.Encoder(folder["encoder.onnx"]), all = Table(folder, "train.csv", Many(60));
        (int code, string output) = CommandTests.Run("train", model, "--data", all, "--text", "text", "--label", "topic", "--epochs", "30",
            "--batch-size", "8", "--lr", "0.1", "--optimizer", "adamw", "--validation", Table(folder, "val.csv", Many(9)), "--metric",
            "accuracy", "--similar-lengths", "4", "--length-multiple", "2", "--threads", "1", "--out", folder["job"]);
        Assert.AreEqual(0, code, output);
        foreach (string part in new[] { "60 texts by WordPiece", "14 tokens", "the longest has 7 tokens", "classes 0 art, 1 food, 2 sport",
            "validation loss", "accuracy 1" })
        {
            StringAssert.Contains(output, part);
        }
        Assert.AreEqual("[\"art\",\"food\",\"sport\"]\n", File.ReadAllText(Path.Combine(folder["job"], "classes.json")));
        // Data of one class: sport stays 2.
        (code, output) = CommandTests.Run("evaluate", folder["job"], "--data", Table(folder, "one.csv", "sport", "sport"), "--metric",
            "accuracy");
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "accuracy 1");
        File.WriteAllText(folder["new.csv"], "text,topic\nhello,music\n");
        (code, output) = CommandTests.Run("evaluate", folder["job"], "--data", folder["new.csv"], "--tokenizer", folder["vocab.txt"]);
        Assert.AreEqual(1, code, output);
        StringAssert.Contains(output, "'music' is none of the classes 'art', 'food', 'sport'");
    }

    [TestMethod]
    public void ClassesOfTheModel_GoFirst_AndUnseenLabelsAreNamed()
    {
        using var folder = new TemporaryFolder();
        SmallTokenizers.WordPiece(folder);
        string model = TextModels.Encoder(folder["encoder.onnx"], names: Topics);
        (int code, string output) = CommandTests.Run("train", model, "--data", Table(folder, "train.csv", Many(12)), "--text", "text",
            "--label",
            "topic", "--steps", "1", "--threads", "1", "--out", folder["job"]);
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "classes 0 sport, 1 art, 2 food");
        File.WriteAllText(folder["val.csv"], "text,topic\nhello,sport\nun,music\n");
        (code, output) = CommandTests.Run("train", TextModels.Encoder(folder["encoder.onnx"]), "--data", folder["train.csv"],
            "--validation",
            folder["val.csv"], "--text", "text", "--label", "topic", "--out", folder["job"]);
        Assert.AreEqual(1, code, output);
        StringAssert.Contains(output, "val.csv': line 3, column 'topic': 'music' is none of the classes 'art', 'food', 'sport'");
    }

    [TestMethod]
    [DataRow("--max-length 13", "--max-length is 13; expected at most 12")]
    [DataRow("--max-length 0", "--max-length is 0; expected at least 1")]
    [DataRow("--max-length 2", "--max-length is 2; expected at least 3")]
    [DataRow("--max-length 4 --refuse-long", "the text has more than 4 tokens")]
    [DataRow("--text body", "no column 'body'; there are 'text', 'topic'")]
    [DataRow("--tokenizer characters", "--text needs a tokenizer's file or folder")]
    [DataRow("--tokenizer gpt3", "--tokenizer 'gpt3' is not known")]
    [DataRow("--tokenizer gpt2", "gpt2 has ids up to 50256")]
    [DataRow("--length-multiple 0", "--length-multiple is 0; expected at least 1")]
    [DataRow("--similar-lengths -1", "--similar-lengths is -1; expected at least 0")]
    public void WhatMakesNoSense_IsSaidInTheCommandsWords(string words, string expected)
    {
        using var folder = new TemporaryFolder();
        SmallTokenizers.WordPiece(folder);
        string[] given = words.Split(' ');
        string[] text = given.Contains("--text") ? [] : ["--text", "text"];
        (int code, string output) = CommandTests.Run(["train", TextModels.Encoder(folder["encoder.onnx"]), "--data",
            Table(folder, "train.csv", Many(12)), "--label", "topic", "--out", folder["job"], .. text, .. given]);
        Assert.AreEqual(1, code, output);
        StringAssert.Contains(output, expected);
    }

    [TestMethod]
    public void WithoutATokenizerBesideTheModel_OneIsAskedFor()
    {
        using var folder = new TemporaryFolder();
        (int code, string output) = CommandTests.Run("train", TextModels.Encoder(folder["encoder.onnx"]), "--data",
            Table(folder, "train.csv", Many(12)), "--text", "text", "--label", "topic", "--out", folder["job"]);
        Assert.AreEqual(1, code, output);
        StringAssert.Contains(output, "has no tokenizer; expected tokenizer.json");
        StringAssert.Contains(output, "--tokenizer");
        (code, output) = CommandTests.Run("train", folder["encoder.onnx"], "--data", folder["train.csv"], "--text-pair", "text", "--out",
            folder["job"]);
        Assert.AreEqual(1, code, output);
        StringAssert.Contains(output, "--text names the first");
    }

    [TestMethod]
    public void NextTokens_ByAnyTokenizer()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["text.txt"], string.Join(' ', Enumerable.Repeat("hello worlds!", 40)));
        string model = Path.Combine(AppContext.BaseDirectory, "gpt2_5m.onnx"), tokenizer = SmallTokenizers.WordPiece(folder);
        string[] words = ["train", model, "--data", folder["text.txt"], "--tokenizer", tokenizer, "--sequence-length", "8", "--steps", "1",
            "--batch-size", "2", "--threads", "1", "--out", folder["job"]];
        (int code, string output) = CommandTests.Run(words);
        Assert.AreEqual(0, code, output);
        // 160 tokens: 19 windows of 8 and the token after each.
        StringAssert.Contains(output, "19 examples");
        OnnxModel small = OnnxModel.Create("small", 18);
        var g = new GraphBuilder(small.Graph);
        Value ids = small.Graph.AddInput("tokens", ElementType.Int64, new Shape(SymbolicInt.Symbol("batch"),
            SymbolicInt.Symbol("sequence")));
        small.Graph.Outputs.Add(g.Named(g.Op("Gather", [TestModels.Weight(small.Graph, "table", 10, 4), ids]), "logits"));
        File.WriteAllBytes(folder["small.onnx"], GraphWriter.ToBytes(small));
        words[1] = folder["small.onnx"];
        (code, output) = CommandTests.Run(words);
        Assert.AreEqual(1, code, output);
        StringAssert.Contains(output, "has ids up to 13");
    }

    // High and low tones: the mean of the absolute differences of neighbours tells them apart.
    private static void Tones(TemporaryFolder folder)
    {
        for (int i = 0; i < 12; i++)
        {
            SmallWavs.Write(folder[$"tones/low/{i}.wav"], SmallWavs.Sine(100 + (10 * i), 400 + i), 16000);
            SmallWavs.Write(folder[$"tones/high/{i}.wav"], SmallWavs.Sine(3000 + (10 * i), 1000 + i, 44100), 44100);
        }
    }

    private static string ToneModel(TemporaryFolder folder)
    {
        OnnxModel model = OnnxModel.Create("tones", 18);
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("sound", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 1, 320));
        Term y = g.Op("Relu",
            [g.Op("Conv", [x, TestModels.Weight(model.Graph, "taps", 8, 1, 16), TestModels.Weight(model.Graph, "bias", 8)])]);
        y = g.Op("ReduceMean", [y, g.Ints(2)], ("keepdims", 0L));
        model.Graph.Outputs.Add(g.Named(g.Op("Gemm", [y, TestModels.Weight(model.Graph, "w", 8, 2),
            TestModels.Weight(model.Graph, "b", 2)]),
            "logits"));
        File.WriteAllBytes(folder["tones.onnx"], GraphWriter.ToBytes(model));
        return folder["tones.onnx"];
    }

    [TestMethod]
    public void Train_OnAFolderOfSounds_LearnsThem()
    {
        using var folder = new TemporaryFolder();
        Tones(folder);
        (int code, string output) = CommandTests.Run("train", ToneModel(folder), "--data", folder["tones"], "--augment", "--epochs", "40",
            "--lr",
            "0.05", "--optimizer", "adamw", "--batch-size", "8", "--validation", folder["tones"], "--metric", "accuracy", "--threads", "1",
            "--out", folder["job"]);
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "classes 0 high, 1 low");
        StringAssert.Contains(output, "accuracy 1");
        (code, output) = CommandTests.Run("evaluate", folder["job"], "--data", folder["tones"], "--metric", "accuracy");
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "accuracy 1");
    }

    [TestMethod]
    [DataRow("--refuse-other-rates", "44100 Hz; expected 16000")]
    [DataRow("--sample-rate 0", "--sample-rate is 0; expected at least 1")]
    [DataRow("--samples 0", "--samples is 0; expected at least 1")]
    [DataRow("--samples 300", "does not have the shape of 'sound'")]
    public void SoundsThatDoNotFit_AreRefused(string words, string expected)
    {
        using var folder = new TemporaryFolder();
        Tones(folder);
        (int code, string output) = CommandTests.Run(["train", ToneModel(folder), "--data", folder["tones"], "--out", folder["job"],
            .. words.Split(' ')]);
        Assert.AreEqual(1, code, output);
        StringAssert.Contains(output, expected);
    }
}
