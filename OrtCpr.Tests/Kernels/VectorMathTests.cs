using System.Numerics;
using OrtCpr.Kernels;

namespace OrtCpr.Tests.Kernels;

// Error bounds over the whole range, in units in the last place against double.
[TestClass]
public sealed class VectorMathTests
{
    private static float Lane(Func<Vector<float>, Vector<float>> function, float x) => function(Vector.Create(x))[Vector<float>.Count - 1];

    private static double Units(float found, double exact) =>
        Math.Abs(found - exact) / (MathF.BitIncrement((float)Math.Abs(exact)) - Math.Abs((float)exact));

    [TestMethod]
    public void Exp_IsWithinTwoUnits_BetweenTheLimits()
    {
        double worst = 0;
        for (float x = VectorMath.LowestExponent; x <= VectorMath.HighestExponent; x += 0.00137f)
        {
            worst = Math.Max(worst, Units(Lane(VectorMath.Exp, x), Math.Exp(x)));
        }
        for (float x = -1e-3f; x <= 1e-3f; x += 1.1e-7f) worst = Math.Max(worst, Units(Lane(VectorMath.Exp, x), Math.Exp(x)));
        Assert.IsLessThanOrEqualTo(2, worst);
        Assert.AreEqual(1f, Lane(VectorMath.Exp, 0));
        Assert.AreEqual(1f, Lane(VectorMath.Exp, float.Epsilon));
    }

    [TestMethod]
    public void Exp_BeyondTheLimits()
    {
        Assert.AreEqual(0f, Lane(VectorMath.Exp, -87.31f));
        Assert.AreEqual(0f, Lane(VectorMath.Exp, float.NegativeInfinity));
        Assert.AreEqual(2.2e38f, Lane(VectorMath.Exp, 1000), 1e37f);
        Assert.AreEqual(2.2e38f, Lane(VectorMath.Exp, float.PositiveInfinity), 1e37f);
        Assert.IsTrue(float.IsNaN(Lane(VectorMath.Exp, float.NaN)));
    }

    [TestMethod]
    public void Sigmoid_IsWithinThreeUnits()
    {
        double worst = 0;
        for (float x = -80; x <= 80; x += 0.00119f) worst = Math.Max(worst, Units(Lane(VectorMath.Sigmoid, x), 1 / (1 + Math.Exp(-x))));
        Assert.IsLessThanOrEqualTo(3, worst);
        Assert.AreEqual(0f, Lane(VectorMath.Sigmoid, float.NegativeInfinity), 1e-38f);
        Assert.AreEqual(1f, Lane(VectorMath.Sigmoid, float.PositiveInfinity));
        Assert.IsTrue(float.IsNaN(Lane(VectorMath.Sigmoid, float.NaN)));
    }

    [TestMethod]
    public unsafe void SomeLanes_AreReadAndWrittenAlone()
    {
        for (int count = 0; count < Vector<float>.Count; count++)
        {
            float[] source = [.. Enumerable.Range(1, count).Select(i => (float)i)],
                target = [.. Enumerable.Repeat(-1f, Vector<float>.Count)];
            fixed (float* from = source, to = target)
            {
                Vector<float> loaded = VectorMath.LoadSome(from, count);
                Assert.AreEqual(count * (count + 1) / 2f, Vector.Sum(loaded));
                VectorMath.StoreSome(loaded, to, count);
            }
            CollectionAssert.AreEqual(source.Concat(Enumerable.Repeat(-1f, Vector<float>.Count - count)).ToArray(), target);
        }
    }

    // By its series, whose cancellation costs 1e-11 up to 3.5; beyond by the first terms of the complement's expansion, 1e-3 of 7e-7.
    private static double Erf(double x)
    {
        if (Math.Abs(x) > 3.5)
        {
            double squares = 1 / (2 * x * x);
            return Math.Sign(x) * (1 - (Math.Exp(-x * x) / (Math.Abs(x) * Math.Sqrt(Math.PI)) * (1 - squares + (3 * squares * squares))));
        }
        double sum = 0, term = x;
        for (int n = 0; n < 100; n++)
        {
            sum += term / ((2 * n) + 1);
            term *= -x * x / (n + 1);
        }
        return 2 / Math.Sqrt(Math.PI) * sum;
    }

    [TestMethod]
    public void Erf_IsWithinItsBound()
    {
        double worst = 0;
        for (float x = -7; x <= 7; x += 0.00013f) worst = Math.Max(worst, Math.Abs(Lane(VectorMath.Erf, x) - Erf(x)));
        Assert.IsLessThanOrEqualTo(2e-7, worst);
        Assert.AreEqual(1f, Lane(VectorMath.Erf, float.PositiveInfinity));
        Assert.AreEqual(-1f, Lane(VectorMath.Erf, -1e10f));
        Assert.AreEqual(1.1283792e-20f, Lane(VectorMath.Erf, 1e-20f), 1e-26f);
        Assert.IsTrue(float.IsNaN(Lane(VectorMath.Erf, float.NaN)));
    }

    [TestMethod]
    public unsafe void Max_OfAnyLength()
    {
        float[] values = [.. Enumerable.Range(0, 40).Select(i => (float)((i * 7) % 40))];
        fixed (float* p = values)
        {
            Assert.AreEqual(float.NegativeInfinity, VectorMath.Max(p, 0));
            for (int n = 1; n <= values.Length; n++) Assert.AreEqual(values.Take(n).Max(), VectorMath.Max(p, n));
            values[17] = float.NaN;
            Assert.IsTrue(float.IsNaN(VectorMath.Max(p, 40)) && float.IsNaN(VectorMath.Max(p, 18)));
        }
    }
}
