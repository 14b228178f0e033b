namespace OrtCpr.Graph.Optimizers;

/// <summary>Decoupled weight decay, θ ← θ·(1 − lr·decay) before the step (Loshchilov and Hutter, 2019; AdamW).</summary>
/// <param name="WeightDecay">Decay, at least 0; can be scheduled as <c>weight_decay</c>.</param>
/// <param name="OnlyConstrained">Leaves parameters that are not constrained (biases, gains, embeddings) alone. Default on.</param>
public sealed record AddDecayedWeights(double WeightDecay, bool OnlyConstrained = true) : UpdateLink
{
    internal override UpdateStage Stage => UpdateStage.Step;

    internal override string Scope => "decay";

    internal override string Tag(ParameterSpec parameter) => "W";

    internal override bool AppliesTo(ParameterSpec parameter) => parameter.Constrained || !OnlyConstrained;

    internal override IReadOnlyList<(string Name, double Value)> Schedulable => [("weight_decay", WeightDecay)];

    internal override IEnumerable<LinkSlot> Slots(ParameterSpec parameter) =>
        [LinkSlot.Shared("weight_decay", (c, _) => c.GroupScalar("weight_decay"))];

    internal override void Emit(UpdateBody b)
    {
        b.Keep = 1 - b.LearningRate * b.G.Gather(b.In("weight_decay"), b.In("group_index"));
    }

    internal override IEnumerable<string> Problems() =>
        Unless(WeightDecay >= 0 && double.IsFinite(WeightDecay), nameof(WeightDecay), WeightDecay, "a finite number of at least 0");
}

/// <summary>Coupled (L2) weight decay, g ← g + decay·θ before the base rule (PyTorch's Adam and SGD). Stands in front of the base
/// rule.</summary>
/// <param name="WeightDecay">Decay, at least 0.</param>
/// <param name="OnlyConstrained">Leaves parameters that are not constrained alone. Default on.</param>
public sealed record AddCoupledDecay(double WeightDecay, bool OnlyConstrained = true) : UpdateLink
{
    internal override UpdateStage Stage => UpdateStage.Gradient;

    internal override string Scope => "decay";

    internal override string Tag(ParameterSpec parameter) => "L2";

    internal override bool AppliesTo(ParameterSpec parameter) => WeightDecay != 0 && (parameter.Constrained || !OnlyConstrained);

    internal override IEnumerable<LinkSlot> Slots(ParameterSpec parameter) =>
        [LinkSlot.Setting("coupled_decay", WeightDecay, parameter.Type)];

    internal override void Emit(UpdateBody b)
    {
        b.Gradient = b.Direction = b.Gradient + b.Parameter * b.In("coupled_decay");
    }

    internal override IEnumerable<string> Problems() =>
        Unless(WeightDecay >= 0 && double.IsFinite(WeightDecay), nameof(WeightDecay), WeightDecay, "a finite number of at least 0");
}
