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
}
