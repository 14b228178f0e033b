using OrtCpr.Graph;
using OrtCpr.Schedules;

namespace OrtCpr.Tests.Driver;

[TestClass]
public sealed class ScheduleTests
{
    // Factors by the formulas of the PyTorch schedulers that the types name.
    private static IEnumerable<object[]> Rows =>
    [
        [Schedule.Constant(4), Points((0, 0), (2, 0.5), (4, 1), (400, 1))],
        [Schedule.Linear(20, 4), Points((1, 0.25), (4, 1), (12, 0.5), (20, 0), (30, 0))],
        [Schedule.Linear(10, 0, 0.2), Points((0, 1), (5, 0.6), (10, 0.2))],
        [Schedule.Cosine(30, 5, 0.1),
            Points((0, 0), (3, 0.6), (5, 1), (15, 0.1 + (0.9 * (1 + Math.Cos(Math.PI * 10 / 25)) / 2)), (30, 0.1), (1000, 0.1))],
        [Schedule.Polynomial(10, 2), Points((0, 1), (5, 0.25), (10, 0), (11, 0))],
        [Schedule.Exponential(0.9), Points((0, 1), (1, 0.9), (7, Math.Pow(0.9, 7)))],
        [Schedule.Step(3, 0.5, 2), Points((1, 0.5), (2, 1), (4, 1), (5, 0.5), (8, 0.25))],
        [Schedule.MultiStep([2, 5], 0.1), Points((1, 1), (2, 0.1), (4, 0.1), (5, 0.01))],
        // OneCycleLR(max_lr=1, total_steps=10): 0.04 up to step 2, down to 4e-6 at step 9.
        [Schedule.OneCycle(10), Points((0, 0.04), (1, 0.52), (2, 1), (9, 4e-6), (20, 4e-6))],
        [Schedule.OneCycle(10, linear: true), Points((1, 0.52), (9, 4e-6))],
        [Schedule.CosineRestarts(4, 2), Points((0, 1), (2, 0.5), (4, 1), (8, 0.5), (12, 1), (20, 0.5))],
        [Schedule.CosineRestarts(4, 1, 0.5), Points((2, 0.75), (4, 1), (4000, 1), (4002, 0.75))],
        [Schedule.Sequence([Schedule.Linear(4), Schedule.Step(1, 0.5)], [3]), Points((0, 1), (2, 0.5), (3, 1), (5, 0.25))],
    ];

    private static (long Step, double Factor)[] Points(params (long, double)[] points) => points;

    [TestMethod]
    [DynamicData(nameof(Rows))]
    public void Factor_FollowsTheFormula(Schedule schedule, (long Step, double Factor)[] expected)
    {
        schedule.Validate();
        foreach ((long step, double factor) in expected) Assert.AreEqual(factor, schedule.Factor(step), 1e-12, $"{schedule} at {step}");
    }

    [TestMethod]
    [DynamicData(nameof(Rows))]
    public void Schedule_SurvivesJson(Schedule schedule, (long Step, double Factor)[] expected)
    {
        Schedule copy = System.Text.Json.JsonSerializer.Deserialize<Schedule>(System.Text.Json.JsonSerializer.Serialize(schedule))!;
        foreach ((long step, double factor) in expected) Assert.AreEqual(factor, copy.Factor(step), 1e-12, $"{schedule} at {step}");
    }

    [TestMethod]
    public void Plateau_FallsAfterPatienceReports_AndRestsInTheCooldown()
    {
        Schedule schedule = Schedule.Plateau(0.5, 1, cooldown: 2, minimumFactor: 0.2);
        double[] metrics = [1, 0.9, 0.9, 0.9, 0.95, 0.95, 0.95, 0.95, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6];
        var factors = new List<double>();
        foreach (double metric in metrics)
        {
            schedule = schedule.Report(metric);
            factors.Add(schedule.Factor(0));
        }
        CollectionAssert.AreEqual(new[] { 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2, 0.2 }, factors);
    }

    [TestMethod]
    public void SenselessOptions_AreRefused_AllAtOnce()
    {
        string message = Assert.ThrowsExactly<OptionException>(() => Schedule.Cosine(0, -1, -2).Validate()).Message;
        foreach (string part in new[] { "TotalSteps is 0", "WarmupSteps is -1", "FinalFactor is -2" }) StringAssert.Contains(message, part);
        message = Assert.ThrowsExactly<OptionException>(() =>
            Schedule.Sequence([Schedule.Step(0), Schedule.Constant()], [3, 2]).Validate()).Message;
        foreach (string part in new[] { "Schedules[0]: StepSize is 0", "Milestones has 2 entries; expected 1" })
        {
            StringAssert.Contains(message, part);
        }
        message = Assert.ThrowsExactly<OptionException>(() =>
            Schedule.Plateau(1, -1, threshold: -1, cooldown: -1, minimumFactor: -1).Validate()).Message;
        foreach (string part in new[] { "Decay is 1", "Patience is -1", "Cooldown is -1", "Threshold is -1", "MinimumFactor is -1" })
        {
            StringAssert.Contains(message, part);
        }
        Assert.ThrowsExactly<OptionException>(() => Schedule.OneCycle(1, 1).Validate());
        Assert.ThrowsExactly<OptionException>(() => Schedule.MultiStep([3, 3]).Validate());
    }
}
