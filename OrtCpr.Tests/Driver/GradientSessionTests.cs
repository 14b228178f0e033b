using OrtCpr.Graph;

namespace OrtCpr.Tests.Driver;

// Gradient models run without a training driver.
[TestClass]
public sealed class GradientSessionTests
{
    private static GradientModel Model() => GradientModel.Build(TestModels.Linear(), ["logits"], ["x", "weight"]);

    private static Batch Feeds(int rows) => new Batch()
        .Add("x", [.. Enumerable.Range(0, rows * 4).Select(i => (float)i)], rows, 4)
        .Add(GradientModel.CotangentOf("logits"), [.. Enumerable.Range(0, rows * 3).Select(i => (float)(i % 3) - 1)], rows, 3);

    // logits = x·Wᵀ + b: dW = cotangentᵀ·x. Two sizes of batch in one session.
    [TestMethod]
    [DataRow(2)]
    [DataRow(5)]
    public void Run_GivesOutputsAndGradients(int rows)
    {
        GradientModel model = Model();
        using var session = new GradientSession(model, new DriverOptions { Threads = 1 });
        using (Batch other = Feeds(3)) session.Run(other);
        using Batch batch = Feeds(rows);
        IReadOnlyDictionary<string, TensorData> all = session.Run(batch);
        CollectionAssert.AreEquivalent(new[] { "logits", model.Gradients["x"], model.Gradients["weight"] }, all.Keys.ToArray());
        CollectionAssert.AreEqual(session.Outputs.ToArray(), all.Keys.ToArray());
        double[] gradient = all[model.Gradients["weight"]].ToDoubles();
        for (int o = 0; o < 3; o++)
        {
            for (int i = 0; i < 4; i++)
            {
                Assert.AreEqual((o - 1) * Enumerable.Range(0, rows).Sum(r => (4.0 * r) + i), gradient[(4 * o) + i], 1e-4);
            }
        }
        Assert.HasCount(1, session.Run(batch, "logits"));
    }

    [TestMethod]
    public void Mistakes_AreNamed()
    {
        var session = new GradientSession(Model());
        using Batch batch = Feeds(2), empty = new();
        StringAssert.Contains(Assert.ThrowsExactly<DriverException>(() => session.Run(empty)).Message, "'x'");
        string message = Assert.ThrowsExactly<DriverException>(() => session.Run(batch, "nothing")).Message;
        StringAssert.Contains(message, "'nothing'");
        StringAssert.Contains(message, "logits");
        session.Dispose();
        session.Dispose();
        Assert.ThrowsExactly<ObjectDisposedException>(() => session.Run(batch));
        Assert.ThrowsExactly<OptionException>(() => new GradientSession(Model(), new DriverOptions { Threads = -1 }));
    }
}
