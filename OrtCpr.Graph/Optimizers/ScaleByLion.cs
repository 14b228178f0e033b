using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Optimizers;

/// <summary>Lion's direction: the sign of an interpolation between gradient and running mean (Chen et al., 2023, arXiv
/// 2302.06675).</summary>
/// <remarks>The direction is sign(β1·m + (1 − β1)·g), then m ← β2·m + (1 − β2)·g. Decay is a link of its own,
/// <see cref="AddDecayedWeights"/>.</remarks>
public sealed record ScaleByLion : UpdateLink
{
    /// <summary>Weight of the running mean in the direction, in [0, 1). Default 0.9.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Decay of the running mean, in [0, 1). Default 0.99.</summary>
    public double Beta2 { get; init; } = 0.99;

    internal override UpdateStage Stage => UpdateStage.Direction;

    internal override string Scope => "lion";

    internal override string Tag(ParameterSpec parameter) => "Lion";

    internal override IEnumerable<LinkSlot> Slots(ParameterSpec parameter) =>
    [
        LinkSlot.State("exp_avg"),
        LinkSlot.Setting("one_minus_beta1", 1 - Beta1, parameter.Type),
        LinkSlot.Setting("one_minus_beta2", 1 - Beta2, parameter.Type),
    ];

    internal override void Emit(UpdateBody b)
    {
        Term mean = b.In("exp_avg"), change = b.Gradient - mean;
        Term interpolated = mean + change * b.In("one_minus_beta1");
        b.Direction = b.G.Sign(interpolated);
        // By way of the direction's operand: the mean may be written in place only after everything that reads it.
        b.SetState("exp_avg", interpolated + change * (b.In("one_minus_beta2") - b.In("one_minus_beta1")));
    }

    internal override IEnumerable<string> Problems() =>
    [
        .. Unless(Beta1 is >= 0 and < 1, nameof(Beta1), Beta1, "at least 0 and below 1"),
        .. Unless(Beta2 is >= 0 and < 1, nameof(Beta2), Beta2, "at least 0 and below 1"),
    ];
}
