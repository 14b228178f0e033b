using OrtCpr.Graph.Heads;
using OrtCpr.Tests.Heads;
using OrtCpr.Tool;
using OrtCpr.Tool.Heads;

namespace OrtCpr.Tests.Tool;

[TestClass]
[DoNotParallelize]
public sealed class HeadCommandTests
{
    private static string Model => TestModels.Case("models/mlp_dynamo.onnx");

    [TestMethod]
    public void AText_IsAHead()
    {
        (DenseHead head, string? at) = HeadText.Parse(
            "classes=5, pool=CLS,dropout=0.25,at=h/0,mask=m,output=o,name=n,keep,append,channels_last,names=a;b;c;d;e", "--head");
        Assert.AreEqual("h/0", at);
        Assert.AreEqual(new DenseHead
        {
            Classes = 5,
            Pool = Pooling.Cls,
            Dropout = 0.25,
            Mask = "m",
            Output = "o",
            Name = "n",
            Keep = true,
            Append = true,
            ChannelsLast = true,
            ClassNames = head.ClassNames,
        }, head);
        CollectionAssert.AreEqual(new[] { "a", "b", "c", "d", "e" }, head.ClassNames.ToArray());
        Assert.AreEqual(7, HeadText.Parse("7", "--head").Head.Classes);
        Assert.AreEqual(2, HeadText.Parse("names=yes;no", "--head").Head.Classes);
        string message = Assert.ThrowsExactly<ToolException>(() => HeadText.Parse("pool=some,dropout=x,keep=1,what", "--head")).Message;
        foreach (string part in new[] { "--head: ", "'pool=some' makes no sense", "'dropout=x'", "'keep=1'", "'what'",
            "the number of classes is missing", "expected classes=N" })
        {
            StringAssert.Contains(message, part);
        }
    }

    [TestMethod]
    public void Head_WritesAModel_ThatTrainsWithAFrozenBody()
    {
        using var folder = new TemporaryFolder();
        (int code, string output) = CommandTests.Run("head", Model, "--class-names", "no;yes", "--dropout", "0.1", "--seed", "3", "--out",
            folder["head.onnx"]);
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, folder["head.onnx"]);
        byte[] model = File.ReadAllBytes(folder["head.onnx"]);
        Assert.AreEqual("[\"no\",\"yes\"]", HeadModels.Metadata(model)[ModelHead.ClassNamesKey]);
        CollectionAssert.AreEqual(HeadModels.Initializer(ModelHead.Replace(File.ReadAllBytes(Model), null,
            new DenseHead { Classes = 2, Seed = 3 }), "head.weight"), HeadModels.Initializer(model, "head.weight"));
        (code, output) = CommandTests.Run("train", folder["head.onnx"], "--data", CommandTests.Data(folder), "--freeze-body", "--epochs",
            "2", "--threads", "1", "--out", folder["job"]);
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "2 tensors trained");
        byte[] trained = File.ReadAllBytes(Path.Combine(folder["job"], "model.onnx"));
        CollectionAssert.AreEqual(HeadModels.Initializer(model, "layers.0.weight"), HeadModels.Initializer(trained, "layers.0.weight"));
        CollectionAssert.AreNotEqual(HeadModels.Initializer(model, "head.weight"), HeadModels.Initializer(trained, "head.weight"));
        Assert.AreEqual("[\"no\",\"yes\"]", HeadModels.Metadata(trained)[ModelHead.ClassNamesKey]);
    }

    [TestMethod]
    public void Train_ReplacesTheHeadItself()
    {
        using var folder = new TemporaryFolder();
        string[] words = ["train", Model, "--data", CommandTests.Data(folder), "--head", "classes=2", "--epochs", "1", "--threads", "1",
            "--out", folder["job"]];
        (int code, string output) = CommandTests.Run(words);
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "6 tensors trained");
        (code, output) = CommandTests.Run([.. words, "--lora", "r=2,targets=layers.*"]);
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "6 tensors trained", "four of adapters, and the head");
        byte[] merged = File.ReadAllBytes(Path.Combine(folder["job"], "merged.onnx"));
        Assert.HasCount(2, HeadModels.Initializer(merged, "head.bias"));
    }

    [TestMethod]
    public void WhatIsWrong_IsSaid()
    {
        using var folder = new TemporaryFolder();
        StringAssert.Contains(CommandTests.Run("head", Model, "--out", folder["x.onnx"]).Output, "head: the number of classes is missing");
        StringAssert.Contains(CommandTests.Run("head", Model, "--classes", "1", "--out", folder["x.onnx"]).Output,
            "Classes is 1; expected at least 2");
        StringAssert.Contains(CommandTests.Run("head", Model, "--classes", "4", "--at", "layer", "--pool", "sum").Output,
            "'pool=sum' makes no sense");
        StringAssert.Contains(CommandTests.Run("train", Model, "--data", CommandTests.Data(folder), "--freeze-body", "--out",
            folder["job"]).Output, "has no head of its own");
        StringAssert.Contains(CommandTests.Run("train", Model, "--data", CommandTests.Data(folder), "--head", "2", "--freeze-body",
            "--train-only", "head.*", "--out", folder["job"]).Output, "--freeze-body and --train-only both say what is trained");
    }

    private static string[] Train(TemporaryFolder folder, string job, params string[] more) =>
        ["train", Model, "--data", CommandTests.Data(folder), "--head", "classes=2", "--freeze-body", "--epochs", "4", "--batch-size",
            "8", "--lr", "0.05", "--threads", "1", "--log-every", "1", "--validation-split", "0.25", "--metric", "accuracy",
            "--out", folder[job], .. more];

    private static double[] Losses(string job)
    {
        string[][] rows = [.. File.ReadLines(Path.Combine(job, "metrics.csv")).Select(l => l.Split(','))];
        int column = Array.IndexOf(rows[0], "loss");
        return [.. rows.Skip(1).Where(r => r[column].Length > 0)
            .Select(r => double.Parse(r[column], System.Globalization.CultureInfo.InvariantCulture))];
    }

    [TestMethod]
    public void CachedFeatures_TrainTheHead_AsTheWholeModelDoes()
    {
        using var folder = new TemporaryFolder();
        (int code, string output) = CommandTests.Run(Train(folder, "whole"));
        Assert.AreEqual(0, code, output);
        (code, output) = CommandTests.Run(Train(folder, "cached", "--cache-features"));
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "30 examples through the body, once");
        double[] whole = Losses(folder["whole"]), cached = Losses(folder["cached"]);
        Assert.IsGreaterThanOrEqualTo(16, whole.Length);
        Assert.HasCount(whole.Length, cached);
        for (int i = 0; i < whole.Length; i++) Assert.AreEqual(whole[i], cached[i], 1e-5, $"line {i}");
        double[][] heads = [.. new[] { "whole", "cached" }.Select(j => HeadModels.Initializer(File.ReadAllBytes(
            Path.Combine(folder[j], "model.onnx")), "head.weight"))];
        for (int i = 0; i < heads[0].Length; i++) Assert.AreEqual(heads[0][i], heads[1][i], 1e-4);
        Assert.IsEmpty(Directory.GetFiles(folder["cached"], "*.features", SearchOption.AllDirectories));
        string first = CommandTests.Run("evaluate", folder["whole"], "--data", CommandTests.Data(folder)).Output,
            second = CommandTests.Run("evaluate", folder["cached"], "--data", CommandTests.Data(folder)).Output;
        Assert.AreEqual(first.Split('.')[0], second.Split('.')[0], second);
        // A run that was stopped goes on from the head's own checkpoint.
        (code, output) = CommandTests.Run(Train(folder, "stopped", "--cache-features", "--steps", "7"));
        Assert.AreEqual(0, code, output);
        (code, output) = CommandTests.Run(Train(folder, "stopped", "--cache-features", "--resume"));
        Assert.AreEqual(0, code, output);
    }

    [TestMethod]
    public void UnfreezeAt_TrainsTheBody_AfterTheHead()
    {
        using var folder = new TemporaryFolder();
        (int code, string output) = CommandTests.Run(Train(folder, "job", "--unfreeze-at", "2", "--layer-decay", "0.5"));
        Assert.AreEqual(0, code, output);
        byte[] trained = File.ReadAllBytes(Path.Combine(folder["job"], "model.onnx")), start = File.ReadAllBytes(Model);
        CollectionAssert.AreNotEqual(HeadModels.Initializer(start, "layers.0.weight"), HeadModels.Initializer(trained, "layers.0.weight"));
        (code, output) = CommandTests.Run(Train(folder, "short", "--unfreeze-at", "2", "--steps", "8"));
        Assert.AreEqual(0, code, output);
        CollectionAssert.AreEqual(HeadModels.Initializer(start, "layers.0.weight"),
            HeadModels.Initializer(File.ReadAllBytes(Path.Combine(folder["short"], "model.onnx")), "layers.0.weight"),
            "8 steps are 2 epochs");
    }

    [TestMethod]
    [DataRow("--unfreeze-at 4", "whose body would stay frozen")]
    [DataRow("--unfreeze-at 0", "--unfreeze-at is 0; expected at least 1")]
    [DataRow("--unfreeze-at 1 --cache-features", "--cache-features and --unfreeze-at exclude each other")]
    [DataRow("--cache-features --augment", "--cache-features and --augment exclude each other")]
    [DataRow("--cache-features --lora r=2", "--cache-features and --lora exclude each other")]
    [DataRow("--layer-decay 1.5", "--layer-decay is 1.5; expected above 0 and at most 1")]
    [DataRow("--layer a.*", "--layer says what a layer of --layer-decay is")]
    public void WordsThatContradict_AreRefused(string words, string expected)
    {
        using var folder = new TemporaryFolder();
        (int code, string output) = CommandTests.Run(Train(folder, "job", words.Split(' ')));
        Assert.AreNotEqual(0, code);
        StringAssert.Contains(output, expected);
    }
}
