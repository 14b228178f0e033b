using System.Globalization;
using System.Text.RegularExpressions;
using OrtCpr.Tests.Heads;

namespace OrtCpr.Tests.Samples;

// The sample on a table and an encoder of six words; MiniLM itself is in a package and takes longer.
[TestClass]
public sealed class TextsTests
{
    private static readonly string[][] Words = [["bread", "soup"], ["train", "hotel"], ["bug", "loop"]];

    [TestMethod]
    public void Classifier_LearnsATableOfOnesOwn()
    {
        using var folder = new TemporaryFolder();
        (int code, string output) = Run(folder, "--seeds", "1,2", "--head-epochs", "4", "--all-epochs", "20");
        Assert.AreEqual(0, code, output);
        double[] accuracies = Figures(output, @"accuracy ([0-9.]+) %");
        Assert.HasCount(3, accuracies, output);
        Assert.AreEqual(100, accuracies[2], 0.01, output);
        StringAssert.Contains(output, "seeds 1, 2");
        Assert.HasCount(2, Regex.Matches(output, @"\| Adam(W|CPR) \| [0-9.]+ ± [0-9.]+ \| [0-9.]+ ± [0-9.]+ \|"), output);
        CollectionAssert.AreEquivalent(new[] { "classification.png", "head.onnx", "model.onnx" }, Files(folder));
    }

    [TestMethod]
    public void Encoder_LearnsPairsOfATableOfOnesOwn()
    {
        using var folder = new TemporaryFolder();
        (int code, string output) = Run(folder, "--pairs", "--all-epochs", "20");
        Assert.AreEqual(0, code, output);
        double[] recalls = Figures(output, @"recall at 1 ([0-9.]+) %");
        Assert.HasCount(2, recalls, output);
        Assert.IsLessThan(90, recalls[0], output);
        Assert.AreEqual(100, recalls[1], 0.01, output);
        CollectionAssert.AreEquivalent(new[] { "encoder.onnx", "pairs.png" }, Files(folder));
    }

    [TestMethod]
    public void Mistakes_AreNamed()
    {
        using var folder = new TemporaryFolder();
        (int code, string output) = Run(folder, "--label", "subject");
        Assert.AreEqual(1, code);
        StringAssert.Contains(output, "there is no column 'subject'; there are 'body', 'kind'");
        (code, output) = SampleRun.Of("Texts", folder.FolderPath, "--model", "nowhere", "--seeds", "1");
        Assert.AreEqual(1, code);
        StringAssert.Contains(output, "missing model.onnx and vocab.txt");
    }

    [TestMethod]
    public void Sentences_AreFortyOfEachTopic()
    {
        string[] rows = File.ReadAllLines(Path.Combine(House.Repository.Root, "samples", "Texts", "sentences.csv"));
        string[] counts = [.. rows.Skip(1).Select(r => r.Split(',')[^1]).CountBy(t => t).Select(t => $"{t.Key} {t.Value}").Order()];
        CollectionAssert.AreEqual(new[] { "cooking 40", "health 40", "software 40", "travel 40" }, counts);
        Assert.AreEqual(rows.Length, rows.Distinct().Count());
    }

    private static (int, string) Run(TemporaryFolder folder, params string[] arguments)
    {
        Directory.CreateDirectory(folder["encoder"]);
        File.WriteAllBytes(Path.Combine(folder["encoder"], "model.onnx"), HeadModels.Encoder());
        File.WriteAllLines(Path.Combine(folder["encoder"], "vocab.txt"),
            ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", .. Words.SelectMany(w => w)]);
        var random = new Random(1);
        // Two of the topic's words and one of any.
        File.WriteAllLines(folder["own.csv"], Enumerable.Range(0, 45).Select(i =>
            $"{Words[i % 3][random.Next(2)]} {Words[random.Next(3)][random.Next(2)]} {Words[i % 3][random.Next(2)]},{"xyz"[i % 3]}")
            .Prepend("body,kind"));
        return SampleRun.Of("Texts", folder.FolderPath, [.. new[] { "--model", "encoder", "--data", "own.csv", "--text", "body",
            "--batch-size", "6", "--head-lr", "0.03", "--all-lr", "0.03", "--threads", "1", "--out", "out" },
            .. arguments.Contains("--label") ? [] : new[] { "--label", "kind" }, .. arguments]);
    }

    private static double[] Figures(string output, string pattern) =>
        [.. Regex.Matches(output, pattern).Select(m => double.Parse(m.Groups[1].Value, CultureInfo.InvariantCulture))];

    private static string[] Files(TemporaryFolder folder) => [.. Directory.GetFiles(folder["out"]).Select(f => Path.GetFileName(f)!)];
}
