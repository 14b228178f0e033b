using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Driver;

// The trained model as a session: what it computes is what the driver predicts, and stays that.
[TestClass]
public sealed class InferenceSessionTests
{
    private static float[] Logits(InferenceSession session, Batch batch)
    {
        using var options = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> results = session.Run(options, ["x"], [batch.Tensors["x"]], ["logits"]);
        return results[0].GetTensorDataAsSpan<float>().ToArray();
    }

    private static float[] Predicted(TrainingDriver driver, Batch batch)
    {
        using Prediction prediction = driver.Predict(batch);
        return prediction["logits"].GetTensorDataAsSpan<float>().ToArray();
    }

    private static void AssertNear(float[] expected, float[] found)
    {
        Assert.HasCount(expected.Length, found);
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], found[i], 1e-5, $"element {i}");
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void ItPredictsAsTheDriver_AndDoesNotChangeWhileTrainingGoesOn(bool batchNormalized)
    {
        byte[] model = batchNormalized ? TestModels.BatchNormalized() : TestModels.Linear();
        var driver = new TrainingDriver(TrainingGraphBuilder.Build(model), new DriverOptions { Threads = 1 });
        using Batch asked = TestModels.Batch(5, seed: 9);
        void Train()
        {
            for (int step = 0; step < 5; step++)
            {
                using Batch batch = TestModels.Batch(8, seed: step);
                driver.Step(batch);
            }
        }
        Train();
        using InferenceSession session = driver.CreateInferenceSession();
        float[] first = Logits(session, asked);
        AssertNear(Predicted(driver, asked), first);
        Train();
        CollectionAssert.AreEqual(first, Logits(session, asked));
        CollectionAssert.AreNotEqual(first, Predicted(driver, asked));
        using (InferenceSession later = driver.CreateInferenceSession()) AssertNear(Predicted(driver, asked), Logits(later, asked));
        // The session is the caller's: it outlives the driver.
        driver.Dispose();
        CollectionAssert.AreEqual(first, Logits(session, asked));
        Assert.ThrowsExactly<ObjectDisposedException>(() => driver.CreateInferenceSession());
    }

    [TestMethod]
    public void OptionsAreTheCallers()
    {
        using var driver = new TrainingDriver(TrainingGraphBuilder.Build(TestModels.Linear()));
        using var options = new SessionOptions { IntraOpNumThreads = 1, LogId = "mine" };
        using (InferenceSession session = driver.CreateInferenceSession(options))
            CollectionAssert.AreEqual(new[] { "x" }, session.InputNames.ToArray());
        Assert.AreEqual("mine", options.LogId, "still open");
        using InferenceSession second = driver.CreateInferenceSession(options);
        CollectionAssert.AreEqual(new[] { "logits" }, second.OutputNames.ToArray());
    }

    [TestMethod]
    public void WeightsInFilesBesideTheModel_ArePartOfIt()
    {
        using var folder = new TemporaryFolder();
        ModelFile.Save(ModelFile.Load(TestModels.Linear(inputs: 100, outputs: 50)).Proto, folder["model.onnx"], externalDataThreshold: 1);
        Assert.IsTrue(File.Exists(folder["model.onnx.data"]));
        TrainingOptions options = new() { Parameters = new() { TrainOnly = ["bias"] } };
        using var driver = new TrainingDriver(TrainingGraphBuilder.Build(folder["model.onnx"], options));
        using Batch asked = TestModels.Batch(5, inputs: 100);
        using InferenceSession session = driver.CreateInferenceSession();
        AssertNear(Predicted(driver, asked), Logits(session, asked));
    }
}
