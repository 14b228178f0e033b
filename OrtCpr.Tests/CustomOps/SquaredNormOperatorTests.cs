using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Tests.CustomOps;

[TestClass]
public sealed class SquaredNormOperatorTests
{
    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    [DataRow(33)]
    [DataRow(200_001)]
    public void SquaredNorm_IsTheSumOfSquares(int length)
    {
        Random random = new(7);
        float[] values = [.. Enumerable.Range(0, length).Select(_ => random.NextSingle() - 0.5f)];
        double expected = values.Sum(value => (double)value * value);
        // Float lanes within a block, and one rounding at the end.
        Assert.AreEqual(expected, NormOf(values, length), 1e-6 * expected);
    }

    [TestMethod]
    [DataRow(float.NaN)]
    [DataRow(float.PositiveInfinity)]
    [DataRow(float.NegativeInfinity)]
    [DataRow(1e30f)]
    public void SquaredNorm_IsNotFinite_WhenOneElementIsNotOrItsSquareIsNot(float odd)
    {
        float[] values = new float[100_000];
        values[70_001] = odd;
        Assert.IsFalse(float.IsFinite(NormOf(values, 100, 1000)));
    }

    private static float NormOf(float[] values, params long[] shape)
    {
        using OperatorSession session = new(SquaredNorm.Definition, threads: 2);
        float[] norm = [-1];
        using OrtValue input = OperatorSession.Value(values, shape);
        using OrtValue output = OperatorSession.Value(norm, 1);
        session.Run(
            new Dictionary<string, OrtValue> { ["gradient"] = input },
            new Dictionary<string, OrtValue> { ["new_squared_norm"] = output });
        return norm[0];
    }
}
