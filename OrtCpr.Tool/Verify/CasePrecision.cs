using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Tool.Verify;

// What `verify --precision` allows a tensor to be off by, beside the case's own tolerance: a number of units of the format, times the
// largest value of the tensor that is expected. A unit is the largest relative error of one rounding.
internal sealed record CasePrecision(Precision Precision)
{
    // Operands, upstream gradient and result of one operator are rounded.
    public const double OperatorUnits = 4;

    // A model's errors add up over its layers.
    public const double ModelUnits = 16;

    public double Unit => Precision switch
    {
        Precision.BFloat16 => Math.ScaleB(1, -8),
        Precision.Float16 or Precision.TensorFloat32 => Math.ScaleB(1, -11),
        _ => 0,
    };

    // One that does not overflow within the few steps of a case: what was recorded skipped none.
    public static LossScaling Scaling => new() { InitialScale = 1024 };

    public bool IsMixed => Precision != Precision.Float32;

    public string Text => FormattableString.Invariant(
        $"Precision {Precision}: a tensor may be off by its case's tolerance and by {OperatorUnits} units (operators) or {ModelUnits} ")
        + FormattableString.Invariant($"(models, losses) of {Unit} times its largest value; trajectories compare their losses only. ")
        + "Cases without a product in float32 are left out.";

    // Whether something of a model is computed in another way than in float32.
    public void LeaveOutUnless(bool isTouched, string why)
    {
        if (IsMixed && !isTouched) throw new LeftOutException(why);
    }

    public void LeaveOutUnlessProducts(OnnxModel model) => LeaveOutUnless(
        model.Graph.Nodes.Any(n => PrecisionPolicy.Of(n) == PrecisionClass.Low
            && n.Inputs.All(i => i is null or { Type: ElementType.Float or ElementType.Int64 })),
        "it has no product in float32");
}

// A case that says nothing about the precision that is verified.
internal sealed class LeftOutException(string why) : Exception(why);
