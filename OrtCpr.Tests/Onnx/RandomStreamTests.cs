using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Onnx;

[TestClass]
public sealed class RandomStreamTests
{
    [TestMethod]
    public void Log_AgreesWithTheLibrary()
    {
        RandomStream stream = RandomStream.For(1, "log");
        for (int i = 0; i < 10_000; i++)
        {
            double x = stream.NextUniform() * Math.Pow(2, -i % 100);
            if (x > 0)
                Assert.AreEqual(Math.Log(x), RandomStream.Log(x), 4e-16 * Math.Max(1, Math.Abs(Math.Log(x))));
        }
    }

    [TestMethod]
    public void NextUniform_StaysBelowOne_AndFillsTheTenths()
    {
        RandomStream stream = RandomStream.For(1, "uniform");
        int[] tenths = new int[10];
        for (int i = 0; i < 100_000; i++)
            tenths[(int)(stream.NextUniform() * 10)]++;
        Assert.IsTrue(tenths.All(count => Math.Abs(count - 10_000) < 500));
    }
}
