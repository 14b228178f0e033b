using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tests.Optimizers;

[TestClass]
public sealed class RegularizerMeasureTests
{
    [TestMethod]
    [DataRow(Regularizer.L2, 9.5)]
    [DataRow(Regularizer.L1, 4.0)]
    [DataRow(Regularizer.Huber, 2.75)]
    [DataRow(Regularizer.Std, 1.5545631755148024)]
    public void R_IsThatOfTheSpecification(Regularizer regularizer, double expected)
    {
        Assert.AreEqual(expected, regularizer.Measure<float>([3, -0.5f, 0, 0.5f]), 1e-12);
        Assert.AreEqual(expected, regularizer.Measure<double>([3, -0.5, 0, 0.5]), 1e-12);
        Assert.AreEqual(0, regularizer.Measure<double>([]));
    }

    [TestMethod]
    public void DeviationOfOneElement_IsZero() => Assert.AreEqual(0, Regularizer.Std.Measure<double>([7]));
}
