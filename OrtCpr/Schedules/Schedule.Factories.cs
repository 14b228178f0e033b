using System.Collections.Immutable;

namespace OrtCpr.Schedules;

public abstract partial record Schedule
{
    /// <summary>1 after the warm-up.</summary>
    /// <param name="warmupSteps">Steps of the warm-up, at least 0. Default 0.</param>
    public static Schedule Constant(long warmupSteps = 0) => new ConstantSchedule(warmupSteps);

    /// <summary>Falls in a line from 1 after the warm-up to the final factor, where it stays.</summary>
    /// <remarks>With the default final factor the true meaning of ONNX Runtime's
    /// <c>RegisterLinearLRScheduler(warmup, total, …)</c>.</remarks>
    /// <param name="totalSteps">Steps until the end, warm-up included; at least 1.</param>
    /// <param name="warmupSteps">Steps of the warm-up, at least 0. Default 0.</param>
    /// <param name="finalFactor">Factor at the end, at least 0. Default 0.</param>
    public static Schedule Linear(long totalSteps, long warmupSteps = 0, double finalFactor = 0) =>
        new LinearSchedule(totalSteps, warmupSteps, finalFactor);

    /// <summary>Falls along half a cosine from 1 after the warm-up to the final factor, where it stays.</summary>
    /// <param name="totalSteps">Steps until the end, warm-up included; at least 1.</param>
    /// <param name="warmupSteps">Steps of the warm-up, at least 0. Default 0.</param>
    /// <param name="finalFactor">Factor at the end, at least 0. Default 0.</param>
    public static Schedule Cosine(long totalSteps, long warmupSteps = 0, double finalFactor = 0) =>
        new CosineSchedule(totalSteps, warmupSteps, finalFactor);

    /// <summary>Falls as a power of what is left, from 1 after the warm-up to the final factor, where it stays (PyTorch
    /// <c>PolynomialLR</c>).</summary>
    /// <param name="totalSteps">Steps until the end, warm-up included; at least 1.</param>
    /// <param name="power">Exponent, above 0. Default 1.</param>
    /// <param name="warmupSteps">Steps of the warm-up, at least 0. Default 0.</param>
    /// <param name="finalFactor">Factor at the end, at least 0. Default 0.</param>
    public static Schedule Polynomial(long totalSteps, double power = 1, long warmupSteps = 0, double finalFactor = 0) =>
        new PolynomialSchedule(totalSteps, power, warmupSteps, finalFactor);

    /// <summary>γ^step after the warm-up (PyTorch <c>ExponentialLR</c>).</summary>
    /// <param name="gamma">Factor a step, above 0.</param>
    /// <param name="warmupSteps">Steps of the warm-up, at least 0. Default 0.</param>
    public static Schedule Exponential(double gamma, long warmupSteps = 0) => new ExponentialSchedule(gamma, warmupSteps);

    /// <summary>Multiplies by γ after every <paramref name="stepSize"/> steps (PyTorch <c>StepLR</c>).</summary>
    /// <param name="stepSize">Steps between two falls, at least 1.</param>
    /// <param name="gamma">Factor of a fall, at least 0. Default 0.1.</param>
    /// <param name="warmupSteps">Steps of the warm-up, at least 0. Default 0.</param>
    public static Schedule Step(long stepSize, double gamma = 0.1, long warmupSteps = 0) => new StepSchedule(stepSize, gamma, warmupSteps);

    /// <summary>Multiplies by γ at each milestone (PyTorch <c>MultiStepLR</c>).</summary>
    /// <param name="milestones">Steps after the warm-up, rising, the first at least 1.</param>
    /// <param name="gamma">Factor of a fall, at least 0. Default 0.1.</param>
    /// <param name="warmupSteps">Steps of the warm-up, at least 0. Default 0.</param>
    public static Schedule MultiStep(ImmutableArray<long> milestones, double gamma = 0.1, long warmupSteps = 0) =>
        new MultiStepSchedule(milestones, gamma, warmupSteps);

    /// <summary>One cycle (Smith; PyTorch <c>OneCycleLR</c>): up from 1/<paramref name="startDivisor"/> to 1, then down
    /// to far below the start. The learning rate of the group is the peak.</summary>
    /// <param name="totalSteps">Steps of the cycle after the warm-up, at least 2; after it the factor stays.</param>
    /// <param name="risingShare">Share of the cycle that rises, in (0, 1). Default 0.3.</param>
    /// <param name="warmupSteps">Steps of a warm-up in front of the cycle, at least 0. Default 0.</param>
    /// <param name="startDivisor">Peak over start, at least 1. Default 25.</param>
    /// <param name="endDivisor">Start over end, at least 1. Default 1e4.</param>
    /// <param name="linear">Straight lines instead of half cosines. Default off.</param>
    public static Schedule OneCycle(long totalSteps, double risingShare = 0.3, long warmupSteps = 0, double startDivisor = 25,
        double endDivisor = 1e4, bool linear = false) =>
        new OneCycleSchedule(totalSteps, risingShare, warmupSteps)
        {
            StartDivisor = startDivisor,
            EndDivisor = endDivisor,
            Linear = linear,
        };

    /// <summary>Half cosines from 1 to the final factor, one after the other (SGDR; PyTorch
    /// <c>CosineAnnealingWarmRestarts</c>).</summary>
    /// <param name="firstCycle">Steps of the first cycle, at least 1.</param>
    /// <param name="cycleFactor">Each cycle is that many times as long as the one before, at least 1. Default 1.</param>
    /// <param name="finalFactor">Factor at the end of each cycle, at least 0. Default 0.</param>
    /// <param name="warmupSteps">Steps of the warm-up, at least 0. Default 0.</param>
    public static Schedule CosineRestarts(long firstCycle, int cycleFactor = 1, double finalFactor = 0, long warmupSteps = 0) =>
        new CosineRestartsSchedule(firstCycle, cycleFactor, finalFactor, warmupSteps);

    /// <summary>Multiplies by <paramref name="decay"/> when a reported metric has stopped to improve (PyTorch
    /// <c>ReduceLROnPlateau</c>).</summary>
    /// <param name="decay">Factor of a fall, in [0, 1). Default 0.1.</param>
    /// <param name="patience">Reports without improvement that are forgiven, at least 0. Default 10.</param>
    /// <param name="warmupSteps">Steps of the warm-up, at least 0. Default 0.</param>
    /// <param name="maximize">A metric counts as better when it is larger. Default off: a loss.</param>
    /// <param name="threshold">Share of the best value by which a metric must be better, at least 0. Default 1e-4.</param>
    /// <param name="absoluteThreshold">The threshold is a difference, not a share. Default off.</param>
    /// <param name="cooldown">Reports after a fall during which nothing is counted, at least 0. Default 0.</param>
    /// <param name="minimumFactor">Least factor, at least 0. Default 0.</param>
    public static Schedule Plateau(double decay = 0.1, int patience = 10, long warmupSteps = 0, bool maximize = false,
        double threshold = 1e-4, bool absoluteThreshold = false, int cooldown = 0, double minimumFactor = 0) =>
        new PlateauSchedule(decay, patience, warmupSteps)
        {
            Maximize = maximize,
            Threshold = threshold,
            AbsoluteThreshold = absoluteThreshold,
            Cooldown = cooldown,
            MinimumFactor = minimumFactor,
        };

    /// <summary>Schedules one after the other; each counts its steps from where it begins (PyTorch <c>SequentialLR</c>).</summary>
    /// <param name="schedules">At least one; each may have a warm-up of its own. A reported metric reaches all of them.</param>
    /// <param name="milestones">Steps at which the second, third … begin: rising, one fewer than there are schedules.</param>
    /// <param name="warmupSteps">Steps of a warm-up in front of all, at least 0. Default 0.</param>
    public static Schedule Sequence(ImmutableArray<Schedule> schedules, ImmutableArray<long> milestones, long warmupSteps = 0) =>
        new SequenceSchedule(schedules, milestones, warmupSteps);
}
