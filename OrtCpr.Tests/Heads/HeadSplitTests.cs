using OrtCpr.Graph;
using OrtCpr.Graph.Heads;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tests.Heads;

// A model in two parts: one behind the other they compute what the whole does.
[TestClass]
public sealed class HeadSplitTests
{
    private static (byte[] Body, byte[] Head, string Features) Split(TemporaryFolder folder, byte[] model)
    {
        File.WriteAllBytes(folder["model.onnx"], model);
        string features = ModelHead.Split(folder["model.onnx"], folder["body.onnx"], folder["head.onnx"]);
        return (File.ReadAllBytes(folder["body.onnx"]), File.ReadAllBytes(folder["head.onnx"]), features);
    }

    private static void IsWhole(byte[] model, Batch batch, params long[] shape)
    {
        using var folder = new TemporaryFolder();
        (byte[] body, byte[] head, string features) = Split(folder, model);
        TensorData expected = HeadModels.Run(model, batch, "logits")[0], found = HeadModels.Run(body, batch, features)[0];
        CollectionAssert.AreEqual(shape, found.Dimensions.ToArray());
        using Batch second = new Batch().Add(features, found);
        CollectionAssert.AreEqual(expected.ToDoubles(), HeadModels.Run(head, second, "logits")[0].ToDoubles());
        CollectionAssert.AreEqual(new[] { "head.weight", "head.bias" },
            ModelHead.Parameters(folder["head.onnx"]).Select(p => p.ToString()).ToArray());
        Assert.ThrowsExactly<ModelFormatException>(() => ModelHead.Parameters(folder["body.onnx"]));
        // Neither part has what only the other needs.
        string[] names = [.. Initializers(body), .. Initializers(head)];
        CollectionAssert.AreEquivalent(Initializers(model), names.Distinct().ToArray());
        CollectionAssert.DoesNotContain(Initializers(body), "head.weight");
        CollectionAssert.DoesNotContain(Initializers(head), "table");
    }

    private static string[] Initializers(byte[] model) => [.. ModelFile.Load(model).Proto.Graph.Initializer.Select(i => i.Name)];

    [TestMethod]
    public void OfTokens_TheCutIsBehindThePooling() =>
        IsWhole(ModelHead.Replace(HeadModels.Encoder(), null, new DenseHead { Classes = 3 }), HeadModels.Sentences(), 3, 6);

    [TestMethod]
    public void OfAClassOfEachToken_TheFeaturesAreTokens() =>
        IsWhole(ModelHead.Replace(HeadModels.Encoder(), null, new DenseHead { Classes = 3, Pool = Pooling.None }), HeadModels.Sentences(),
            3, 4, 6);

    [TestMethod]
    public void DropoutGoesWithTheHead()
    {
        using var folder = new TemporaryFolder();
        (byte[] body, byte[] head, _) = Split(folder,
            ModelHead.Replace(HeadModels.Encoder(), null, new DenseHead { Classes = 3, Dropout = 0.5 }));
        Assert.IsFalse(ModelFile.Load(body).Proto.Graph.Node.Any(n => n.OpType == "Dropout"));
        Assert.IsTrue(ModelFile.Load(head).Proto.Graph.Node.Any(n => n.OpType == "Dropout"));
    }

    [TestMethod]
    public void AHeadAlone_LearnsAndIsPutBack()
    {
        using var folder = new TemporaryFolder();
        string[] names = ["a", "b", "c"];
        byte[] model = ModelHead.Replace(HeadModels.Encoder(), null, new DenseHead { Classes = 3, ClassNames = [.. names] });
        (byte[] body, _, string features) = Split(folder, model);
        CollectionAssert.AreEqual(names, ModelHead.ClassNames(folder["head.onnx"]).ToArray());
        using TrainingDriver head = TrainingDriver.Create(folder["head.onnx"]), whole = TrainingDriver.Create(folder["model.onnx"]);
        TensorData found = HeadModels.Run(body, HeadModels.Sentences(), features)[0];
        long[] labels = [0, 1, 2];
        using Batch batch = new Batch().Add(features, found).Add("labels", labels, 3);
        double first = head.Step(batch);
        for (int i = 0; i < 50; i++) head.Step(batch);
        foreach (ParameterSpec p in head.Plan.Trained) whole.UpdateParameter(p.Name, head.GetParameter(p.Name));
        using Batch sentences = HeadModels.Sentences().Add("labels", labels, 3);
        double loss = head.EvalStep(batch).Loss;
        Assert.IsLessThan(first, loss);
        Assert.AreEqual(loss, whole.EvalStep(sentences).Loss, 1e-6);
    }

    [TestMethod]
    public void AModelWithoutAHead_OrWithTwo_IsRefused()
    {
        using var folder = new TemporaryFolder();
        StringAssert.Contains(Assert.ThrowsExactly<ModelFormatException>(() => Split(folder, TestModels.Linear())).Message,
            "has 0 heads; expected one");
        byte[] two = ModelHead.Replace(ModelHead.Replace(HeadModels.Encoder(), null, new DenseHead { Classes = 3 }), "logits",
            new DenseHead { Classes = 4, Keep = true, Append = false, Output = "more" });
        StringAssert.Contains(Assert.ThrowsExactly<ModelFormatException>(() => Split(folder, two)).Message, "has 2 heads; expected one");
        Assert.IsFalse(File.Exists(folder["body.onnx"]));
    }
}
