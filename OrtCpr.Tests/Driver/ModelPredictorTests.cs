using OrtCpr.Graph;
using OrtCpr.Graph.Heads;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Driver;

[TestClass]
public sealed class ModelPredictorTests
{
    private static readonly DriverOptions OneThread = new() { Threads = 1 };

    [TestMethod]
    public void AModel_GivesWhatItsDriverPredicts_WithoutDropout()
    {
        using TemporaryFolder folder = new();
        ModelHead.Replace(TestModels.Case("models/lenet.onnx"), folder["m.onnx"], at: null,
            new DenseHead { Classes = 3, Dropout = 0.5 });
        using ModelPredictor model = ModelPredictor.Create(folder["m.onnx"], OneThread);
        using TrainingDriver driver = TrainingDriver.Create(folder["m.onnx"], null, OneThread);
        using Batch batch = new Batch().Add("image", [.. Enumerable.Range(0, 5 * 784).Select(i => MathF.Sin(i))], 5, 1, 28, 28);
        using Prediction expected = driver.Predict(batch), found = model.Predict(batch);
        string output = model.Outputs.Single();
        CollectionAssert.AreEqual(driver.Plan.ModelOutputs.ToArray(), model.Outputs.ToArray());
        float[] values = found[output].GetTensorDataAsSpan<float>().ToArray();
        float[] own = expected[output].GetTensorDataAsSpan<float>().ToArray();
        for (int i = 0; i < own.Length; i++) Assert.AreEqual(own[i], values[i], 1e-5 * Math.Max(1, Math.Abs(own[i])));
    }

    [TestMethod]
    public void AFixedBatch_IsFreed_OrKept()
    {
        using TemporaryFolder folder = new();
        OnnxModel model = OnnxModel.Create("one", 18);
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("x", ElementType.Float, new Shape(1, 4));
        // Round has no gradient that is not 0, which does not matter here.
        model.Graph.Outputs.Add(g.Named(g.Op("Round", [g.Op("MatMul", [x, TestModels.Weight(model.Graph, "w", 4, 3)])]), "y"));
        File.WriteAllBytes(folder["m.onnx"], GraphWriter.ToBytes(model));
        using Batch three = new Batch().Add("x", [.. Enumerable.Range(0, 12).Select(i => (float)i)], 3, 4);
        using (ModelPredictor free = ModelPredictor.Create(folder["m.onnx"], OneThread))
        {
            using Prediction prediction = free.Predict(three, "y");
            CollectionAssert.AreEqual(new long[] { 3, 3 }, prediction["y"].GetTensorTypeAndShape().Shape);
        }
        using ModelPredictor kept = ModelPredictor.Create(folder["m.onnx"], OneThread, new TrainingOptions { FreeBatch = false });
        Assert.Contains("'x'", Assert.ThrowsExactly<DriverException>(() => kept.Predict(three)).Message);
    }

    [TestMethod]
    public void WhatDoesNotFit_IsNamed()
    {
        using TemporaryFolder folder = new();
        File.WriteAllBytes(folder["m.onnx"], TestModels.Linear());
        using ModelPredictor model = ModelPredictor.Create(folder["m.onnx"], OneThread);
        Assert.AreEqual("x", model.Inputs.Single().Name);
        using Batch batch = new Batch().Add("x", new float[8], 2, 4), empty = new();
        Assert.Contains("'z'", Assert.ThrowsExactly<DriverException>(() => model.Predict(batch, "z")).Message);
        Assert.Contains("'x'", Assert.ThrowsExactly<DriverException>(() => model.Predict(empty)).Message);
        Assert.ThrowsExactly<OptionException>(() => ModelPredictor.Create(folder["m.onnx"], new DriverOptions { Threads = -1 }));
        Assert.ThrowsExactly<FileAccessException>(() => ModelPredictor.Create(folder["none.onnx"]));
        model.Dispose();
        Assert.ThrowsExactly<ObjectDisposedException>(() => model.Predict(batch));
    }
}
