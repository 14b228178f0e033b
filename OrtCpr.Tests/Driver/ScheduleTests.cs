using OrtCpr.Schedules;

namespace OrtCpr.Tests.Driver;

[TestClass]
public sealed class ScheduleTests
{
    [TestMethod]
    public void Cosine_WithWarmup_FollowsTheFormula()
    {
        var schedule = new CosineSchedule(30, 5, 0.1);
        Assert.AreEqual(0, schedule.Factor(0));
        Assert.AreEqual(0.6, schedule.Factor(3), 1e-12);
        Assert.AreEqual(1, schedule.Factor(5), 1e-12);
        Assert.AreEqual(0.1 + (0.9 * (1 + Math.Cos(Math.PI * 10 / 25)) / 2), schedule.Factor(15), 1e-12);
        Assert.AreEqual(0.1, schedule.Factor(30), 1e-12);
        Assert.AreEqual(0.1, schedule.Factor(1000), 1e-12);
    }

    [TestMethod]
    public void Linear_WithWarmup_FollowsTheFormula()
    {
        var schedule = new LinearSchedule(20, 4);
        Assert.AreEqual(0.25, schedule.Factor(1), 1e-12);
        Assert.AreEqual(1, schedule.Factor(4), 1e-12);
        Assert.AreEqual(0.5, schedule.Factor(12), 1e-12);
        Assert.AreEqual(0, schedule.Factor(20), 1e-12);
    }

    [TestMethod]
    public void Constant_StaysAtOne_BehindItsWarmup()
    {
        Assert.AreEqual(1, new ConstantSchedule().Factor(0));
        Assert.AreEqual(0.5, new ConstantSchedule(4).Factor(2));
        Assert.AreEqual(1, new ConstantSchedule(4).Factor(4));
    }

    [TestMethod]
    public void SenselessLengths_AreRefused()
    {
        Assert.ThrowsExactly<DriverException>(() => new CosineSchedule(0));
        Assert.ThrowsExactly<DriverException>(() => new ConstantSchedule(-1));
    }
}
