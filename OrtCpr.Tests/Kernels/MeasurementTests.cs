using OrtCpr.Graph.Optimizers;
using OrtCpr.Kernels;

namespace OrtCpr.Tests.Kernels;

[TestClass]
public sealed class MeasurementTests
{
    /// <summary>Block sums add up to 64 terms a lane in float, each with a rounding of 6e-8, errors mostly cancelling.</summary>
    private const double Relative = 1e-6;

    [TestMethod]
    public void EveryRegularizer_MeasuresTheFormula_AtEveryLength()
    {
        foreach (Regularizer name in Enum.GetValues<Regularizer>())
        {
            foreach (int length in new[] { 0, 1, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 64, 1000, 1024, 1025, 16_385, 100_003 })
            {
                float[] values = Uniform(length, middle: 0.1f, width: 2);
                double expected = Reference(name, values);
                Assert.AreEqual(expected, Value(name, values, TwoThreads.Loop), Relative * Math.Abs(expected), $"{name}, {length}");
            }
        }
    }

    [TestMethod]
    public void StandardDeviation_KeepsItsDigits_AroundTen()
    {
        float[] values = Uniform(1_000_003, middle: 10, width: 0.17f);
        double expected = Reference(Regularizer.Std, values);
        Assert.AreEqual(expected, Value(Regularizer.Std, values, default), Relative * expected);
    }

    [TestMethod]
    public void StandardDeviation_KeepsItsDigits_AfterAnOutlier()
    {
        float[] values = Uniform(5000, middle: 0, width: 1);
        values[0] = 1e4f;
        double expected = Reference(Regularizer.Std, values);
        Assert.AreEqual(expected, Value(Regularizer.Std, values, default), Relative * expected);
    }

    [TestMethod]
    public unsafe void StandardDeviation_IsZeroWithAZeroGradient_ForOneElementAndForEqualOnes()
    {
        RegularizerFormula regularizer = RegularizerFormula.Of(Regularizer.Std);
        foreach (int length in new[] { 0, 1, 2, 9, 1000, 50_000 })
        {
            float[] values = new float[length];
            values.AsSpan().Fill(0.1f);
            fixed (float* pointer = values)
            {
                RegularizerSum sum = Measurement.Of(regularizer, pointer, length, default);
                Assert.AreEqual(0, regularizer.Value(sum), $"length {length}");
                Assert.AreEqual(0, regularizer.DirectionScale(sum), $"length {length}");
            }
        }
    }

    [TestMethod]
    public void NotANumberAndInfinity_ReachTheSum_FromEveryPlace()
    {
        foreach (int place in new[] { 0, 5, 1000, 40_000, 49_999 })
        {
            float[] values = Uniform(50_000, middle: 0, width: 1);
            values[place] = float.NaN;
            foreach (Regularizer name in Enum.GetValues<Regularizer>())
                Assert.IsTrue(double.IsNaN(Value(name, values, default)), $"{name}, {place}");
            values[place] = float.NegativeInfinity;
            Assert.IsTrue(double.IsPositiveInfinity(Value(Regularizer.L2, values, default)), $"{place}");
        }
    }

    [TestMethod]
    public void Sums_AreTheSameBits_OnOneThreadAndTwo()
    {
        float[] values = Uniform(300_001, middle: 0.3f, width: 1);
        foreach (Regularizer name in Enum.GetValues<Regularizer>())
            Assert.AreEqual(Value(name, values, default), Value(name, values, TwoThreads.Loop), $"{name}");
    }

    /// <summary>More chunks than partial sums have room for on the stack.</summary>
    [TestMethod]
    public void PartialSums_MoveToNativeMemory_WhenTheyAreMany()
    {
        float[] values = new float[((PartialSums.StackChunks + 1) * Chunks.Length) + 1];
        values.AsSpan().Fill(1);
        Assert.AreEqual(values.Length, Value(Regularizer.L2, values, TwoThreads.Loop));
    }

    private static unsafe double Value(Regularizer name, float[] values, ParallelLoop loop)
    {
        RegularizerFormula regularizer = RegularizerFormula.Of(name);
        fixed (float* pointer = values)
            return regularizer.Value(Measurement.Of(regularizer, pointer, values.Length, loop));
    }

    private static double Reference(Regularizer name, float[] values) =>
        ReferenceRegularizer.Value(name, Array.ConvertAll(values, value => (double)value));

    private static float[] Uniform(int length, float middle, float width)
    {
        Random random = new(42);
        float[] values = new float[length];
        for (int i = 0; i < length; i++)
            values[i] = middle + (width * ((2 * random.NextSingle()) - 1));
        return values;
    }
}
