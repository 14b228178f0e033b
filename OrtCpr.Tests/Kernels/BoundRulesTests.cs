using OrtCpr.Graph.Optimizers;
using OrtCpr.Kernels;

namespace OrtCpr.Tests.Kernels;

[TestClass]
public sealed class BoundRulesTests
{
    [TestMethod]
    public void Lambda_RisesAboveTheBound_FallsBelowIt_AndStopsAtZero()
    {
        ConstraintSettings settings = new() { Method = BoundKind.Uniform, KappaUpdate = 0.5 };
        ConstraintState state = new() { Kappa = 10, IsSet = true };
        Assert.AreEqual(1, BoundRules.Advance(settings, ref state, 1, 12));
        Assert.AreEqual(0.5, BoundRules.Advance(settings, ref state, 2, 9));
        Assert.AreEqual(0, BoundRules.Advance(settings, ref state, 3, 4));
        Assert.AreEqual(0, BoundRules.Advance(settings, ref state, 4, 10));
    }

    [TestMethod]
    public void WarmStart_MeasuresInItsStepOnly_AndIsActiveFromTheNext()
    {
        ConstraintSettings settings = new() { Method = BoundKind.WarmStart, WarmStartSteps = 3, KappaUpdate = 1 };
        ConstraintState state = new() { Kappa = double.NaN };
        Assert.IsFalse(BoundRules.NeedsMeasure(settings, state, 2));
        Assert.IsTrue(BoundRules.NeedsMeasure(settings, state, 3));
        Assert.AreEqual(0, BoundRules.Advance(settings, ref state, 3, 7));
        Assert.AreEqual(7, state.Kappa);
        Assert.AreEqual(1, BoundRules.Advance(settings, ref state, 4, 8));
    }

    [TestMethod]
    public void Inflection_IsSeenAtMultiplesOfTheInterval_FromTheFourthSampleOn()
    {
        ConstraintSettings settings = new() { Method = BoundKind.InflectionPoint, SampleInterval = 10 };
        // Bends at the third sample already, which is too early to count, then grows evenly, then bends at the sixth.
        double[] measures = [0, 10, 15, 20, 25, 29];
        ConstraintState state = new() { Kappa = double.NaN };
        for (int i = 0; i < measures.Length; i++)
        {
            long step = 10 * (i + 1);
            Assert.IsFalse(state.IsSet);
            Assert.IsFalse(BoundRules.NeedsMeasure(settings, state, step - 1));
            Assert.IsTrue(BoundRules.NeedsMeasure(settings, state, step));
            Assert.AreEqual(0, BoundRules.Advance(settings, ref state, step, measures[i]));
        }
        Assert.IsTrue(state.IsSet);
        Assert.AreEqual(29, state.Kappa);
        Assert.AreEqual(6, state.Samples);
        Assert.AreEqual(29, state.LastSample);
        Assert.AreEqual(25, state.EarlierSample);
    }

    [TestMethod]
    public void ConstantMeasure_NeverBends_ThoughItsSamplesWereRounded()
    {
        ConstraintSettings settings = new() { Method = BoundKind.InflectionPoint, SampleInterval = 1 };
        ConstraintState state = default;
        for (int step = 1; step < 20; step++)
        {
            BoundRules.Advance(settings, ref state, step, 0.1);
            state.LastSample = (float)state.LastSample;
        }
        Assert.IsFalse(state.IsSet);
    }

    [TestMethod]
    public void MaxWaitSteps_SetTheBound_BetweenSamplesToo()
    {
        ConstraintSettings settings = new() { Method = BoundKind.InflectionPoint, SampleInterval = 100, MaxWaitSteps = 7 };
        ConstraintState state = new() { Kappa = double.NaN };
        Assert.IsFalse(BoundRules.NeedsMeasure(settings, state, 6));
        Assert.IsTrue(BoundRules.NeedsMeasure(settings, state, 7));
        Assert.AreEqual(0, BoundRules.Advance(settings, ref state, 7, 3));
        Assert.AreEqual(3, state.Kappa);
        Assert.AreEqual(0, state.Samples);
    }

    [TestMethod]
    public void SampleDecay_AveragesFromTheFirstSampleOn()
    {
        ConstraintSettings settings = new() { Method = BoundKind.InflectionPoint, SampleInterval = 1, SampleDecay = 0.75 };
        ConstraintState state = default;
        BoundRules.Advance(settings, ref state, 1, 8);
        Assert.AreEqual(8, state.LastSample);
        BoundRules.Advance(settings, ref state, 2, 16);
        Assert.AreEqual(10, state.LastSample);
        Assert.AreEqual(8, state.EarlierSample);
    }
}
