using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Optimizers;

/// <summary>Adam's direction: bias-corrected first moment over the root of the second (Kingma and Ba, 2015; PyTorch's form).</summary>
public sealed record ScaleByAdam : UpdateLink
{
    /// <summary>Decay of the first moment, in [0, 1). Default 0.9.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Decay of the second moment, in [0, 1). Default 0.999.</summary>
    public double Beta2 { get; init; } = 0.999;

    /// <summary>Added to the root of the second moment; at least 0. Default 1e-8.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>Divide by the running maximum of the second moment. Default off.</summary>
    public bool AmsGrad { get; init; }

    internal override UpdateStage Stage => UpdateStage.Direction;

    internal override string Scope => "adam";

    internal override string Tag(ParameterSpec parameter) => "Adam";

    internal override string Suffix => AmsGrad ? "_amsgrad" : "";

    internal override IEnumerable<LinkSlot> Slots(ParameterSpec parameter)
    {
        ElementType type = parameter.Type;
        // β and 1−β are rounded once each: 1−β from a rounded β would be off by 1e-5 of itself.
        return
        [
            LinkSlot.State("exp_avg"),
            LinkSlot.State("exp_avg_sq"),
            .. AmsGrad ? new[] { LinkSlot.State("max_exp_avg_sq") } : [],
            LinkSlot.Setting("beta1", Beta1, type),
            LinkSlot.Setting("one_minus_beta1", 1 - Beta1, type),
            LinkSlot.Setting("beta2", Beta2, type),
            LinkSlot.Setting("one_minus_beta2", 1 - Beta2, type),
            LinkSlot.Setting("half_log_beta1", -Math.Log(Beta1) / 2, type),
            LinkSlot.Setting("half_log_beta2", -Math.Log(Beta2) / 2, type),
            LinkSlot.Setting("epsilon", Epsilon, type),
        ];
    }

    internal override void Emit(UpdateBody b)
    {
        GraphBuilder g = b.G;
        Term m = b.In("exp_avg") + (b.Gradient - b.In("exp_avg")) * b.In("one_minus_beta1");
        Term v = b.In("exp_avg_sq") * b.In("beta2") + b.Gradient * b.Gradient * b.In("one_minus_beta2");
        b.SetState("exp_avg", m);
        b.SetState("exp_avg_sq", v);
        if (AmsGrad)
        {
            v = g.Max(b.In("max_exp_avg_sq"), v);
            b.SetState("max_exp_avg_sq", v);
        }
        Term first = Correction(b, "half_log_beta1"), second = Correction(b, "half_log_beta2");
        b.Direction = m / (g.Sqrt(v) / g.Sqrt(second) + b.In("epsilon")) / first;
    }

    // 1 − βᵗ = 2u/(1+u) with u = tanh(−t·ln β / 2): no cancellation for β near 1.
    private static Term Correction(UpdateBody b, string halfLog) => Correction(b.G, b.G.Cast(b.Step, b.Type), b.In(halfLog));

    internal static Term Correction(GraphBuilder g, Term step, Term halfLog)
    {
        Term u = g.Tanh(step * halfLog);
        return u * 2 / (u + 1);
    }

    internal override IEnumerable<string> Problems() =>
    [
        .. Unless(Beta1 is >= 0 and < 1, nameof(Beta1), Beta1, "at least 0 and below 1"),
        .. Unless(Beta2 is >= 0 and < 1, nameof(Beta2), Beta2, "at least 0 and below 1"),
        .. Unless(Epsilon >= 0 && double.IsFinite(Epsilon), nameof(Epsilon), Epsilon, "a finite number of at least 0"),
    ];
}
