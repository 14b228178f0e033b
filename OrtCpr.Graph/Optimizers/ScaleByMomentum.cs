using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Optimizers;

/// <summary>SGD's direction: the gradient, or its running sum (PyTorch's SGD). Coupled decay is a link in front:
/// <see cref="AddCoupledDecay"/>.</summary>
/// <remarks>b ← g in a parameter's first step, then b ← momentum·b + (1 − dampening)·g; the direction is b, or g + momentum·b with
/// Nesterov.</remarks>
/// <param name="Momentum">In [0, 1); 0 for plain SGD (default), which keeps no state.</param>
/// <param name="Dampening">In [0, 1]. Default 0.</param>
/// <param name="Nesterov">Looks ahead; needs momentum above 0 and no dampening. Default off.</param>
public sealed record ScaleByMomentum(double Momentum = 0, double Dampening = 0, bool Nesterov = false) : UpdateLink
{
    internal override UpdateStage Stage => UpdateStage.Direction;

    internal override string Scope => "momentum";

    internal override string Tag(ParameterSpec parameter) => Momentum == 0 ? "Sgd" : Nesterov ? "SgdNesterov" : "SgdMomentum";

    internal override IEnumerable<LinkSlot> Slots(ParameterSpec parameter) => Momentum == 0 ? [] :
    [
        LinkSlot.State("momentum_buffer"),
        LinkSlot.Setting("momentum", Momentum, parameter.Type),
        LinkSlot.Setting("one_minus_dampening", 1 - Dampening, parameter.Type),
    ];

    internal override void Emit(UpdateBody b)
    {
        if (Momentum == 0) return;
        GraphBuilder g = b.G;
        Term later = b.In("momentum_buffer") * b.In("momentum") + b.Gradient * b.In("one_minus_dampening");
        Term buffer = g.Where(g.Equal(b.Step, g.Int(1)), b.Gradient, later);
        b.SetState("momentum_buffer", buffer);
        b.Direction = Nesterov ? b.Gradient + buffer * b.In("momentum") : buffer;
    }

    internal override IEnumerable<string> Problems() =>
    [
        .. Unless(Momentum is >= 0 and < 1, nameof(Momentum), Momentum, "at least 0 and below 1"),
        .. Unless(Dampening is >= 0 and <= 1, nameof(Dampening), Dampening, "0 to 1"),
        .. Unless(!Nesterov || (Momentum > 0 && Dampening == 0), nameof(Nesterov), Nesterov,
            "false unless Momentum is above 0 and Dampening is 0"),
    ];
}
