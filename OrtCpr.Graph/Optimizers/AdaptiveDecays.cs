using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Optimizers;

/// <summary>Adaptive weight decay (AWD, arXiv 2210.00094): decoupled decay whose strength follows the ratio of gradient and weight norms
/// over all constrained parameters of the groups with this link.</summary>
/// <remarks>a ← 0.1·a + 0.9·λ·‖g‖/max(‖w‖, 1e-12), a₀ = 0 (state <c>awd</c>), then θ ← θ·(1 − lr·a) before the base step. Groups with equal
/// settings share one ratio.</remarks>
/// <param name="Strength">λ, at least 0.</param>
public sealed record AddAdaptiveWeightDecay(double Strength) : UpdateLink
{
    private const double Kept = 0.1, SmallestNorm = 1e-12;

    internal override UpdateStage Stage => UpdateStage.Step;

    internal override string Scope => "decay";

    internal override string Tag(ParameterSpec parameter) => "Awd";

    internal override bool AppliesTo(ParameterSpec parameter) => parameter.Constrained;

    internal override IEnumerable<LinkSlot> Slots(ParameterSpec parameter) =>
        [LinkSlot.Computed("adaptive_decay", (c, _) => c.Shared(this, Coefficient))];

    internal override void Emit(UpdateBody b)
    {
        b.Keep = 1 - b.LearningRate * b.In("adaptive_decay");
    }

    private Value Coefficient(OptimizerGraphContext c)
    {
        GraphBuilder g = c.Builder;
        ParameterSpec[] weights = c.ParametersOf(this);
        Term old = g.Term(c.SharedState("awd"));
        g.Scope = "awd";
        Term gradients = g.Term(c.Norm(weights.Select(w => (w, c.Gradient(w))))) * g.Abs(c.GradientScale);
        Term norm = g.Max(c.Norm(weights.Select(w => (w, c.Parameter(w)))), g.Scalar(SmallestNorm, old.Type));
        Term updated = old * Kept + gradients / norm * (Strength * (1 - Kept));
        Term applied = c.Applied is Value flag ? g.Where(flag, updated, old) : updated;
        c.SetSharedState(old, applied);
        return g.Squeeze(updated, 0);
    }

    internal override IEnumerable<string> Problems() =>
        Unless(Strength >= 0 && double.IsFinite(Strength), nameof(Strength), Strength, "a finite number of at least 0");
}

/// <summary>AdaDecay (arXiv 1907.08931): decoupled decay of each element by how large its gradient is within its tensor.</summary>
/// <remarks>ĝ = (|g| − mean|g|)/std|g| with the population deviation (0 where that is at most 1e-12), φ = 2/(1 + exp(−α·ĝ)), θ ← θ·(1 −
/// lr·λ·φ) before the base step. Constrained parameters only.</remarks>
/// <param name="Strength">λ, at least 0.</param>
/// <param name="Alpha">α. Default 4.</param>
public sealed record AddAdaDecay(double Strength, double Alpha = 4) : UpdateLink
{
    private const double SmallestDeviation = 1e-12;

    internal override UpdateStage Stage => UpdateStage.Step;

    internal override string Scope => "decay";

    internal override string Tag(ParameterSpec parameter) => "AdaDecay";

    internal override bool AppliesTo(ParameterSpec parameter) => parameter.Constrained;

    internal override IEnumerable<LinkSlot> Slots(ParameterSpec parameter) =>
        [LinkSlot.Setting("decay_strength", Strength, parameter.Type), LinkSlot.Setting("decay_alpha", Alpha, parameter.Type)];

    internal override void Emit(UpdateBody b)
    {
        GraphBuilder g = b.G;
        // The raw gradient: coupled decay in front of the base rule does not count.
        Term size = g.Abs(b.In("gradient") * b.In("gradient_scale"));
        Term count = g.Cast(g.Op("Size", [size]), b.Type);
        Term centred = size - b.Sum(size) / count;
        Term deviation = g.Sqrt(b.Sum(centred * centred) / count);
        Term spread = g.Greater(deviation, b.Scalar(SmallestDeviation));
        Term z = g.Where(spread, centred / g.Where(spread, deviation, b.Scalar(1)), b.Scalar(0));
        Term phi = 2 / (g.Exp(-(z * b.In("decay_alpha"))) + 1);
        b.Keep = 1 - phi * (b.LearningRate * b.In("decay_strength"));
    }

    internal override IEnumerable<string> Problems() =>
    [
        .. Unless(Strength >= 0 && double.IsFinite(Strength), nameof(Strength), Strength, "a finite number of at least 0"),
        .. Unless(double.IsFinite(Alpha), nameof(Alpha), Alpha, "a finite number"),
    ];
}

/// <summary>Clips each element of the (scaled) gradient to ±<see cref="Limit"/>. Stands in front of everything else; after clipping by the
/// global norm.</summary>
/// <param name="Limit">Largest absolute value, above 0.</param>
public sealed record ClipGradientValue(double Limit) : UpdateLink
{
    internal override UpdateStage Stage => UpdateStage.Gradient;

    internal override string Scope => "clip";

    internal override string Tag(ParameterSpec parameter) => "Clip";

    internal override IEnumerable<LinkSlot> Slots(ParameterSpec parameter) => [LinkSlot.Setting("gradient_limit", Limit, parameter.Type)];

    internal override void Emit(UpdateBody b)
    {
        Term limit = b.In("gradient_limit");
        b.Gradient = b.Direction = b.G.Max(b.G.Min(b.Gradient, limit), -limit);
    }

    internal override IEnumerable<string> Problems() =>
        Unless(Limit > 0 && double.IsFinite(Limit), nameof(Limit), Limit, "a finite number above 0");
}
