using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>
/// Inputs and outputs of the update operators. The function bodies of the optimizer graph have the same ones in the same
/// order; <see cref="UpdateOperator"/> reads them so.
/// </summary>
internal static class UpdateSignature
{
    private static readonly Row[] InputRows =
    [
        new("parameter", OperandType.Float),
        new("gradient", OperandType.Float),
        new("exp_avg", OperandType.Float, IsAdam),
        new("exp_avg_sq", OperandType.Float, IsAdam),
        new("max_exp_avg_sq", OperandType.Float, variant => variant.AmsGrad),
        new("momentum_buffer", OperandType.Float, HasMomentum),
        new("step", OperandType.Int64),
        new("parameter_index", OperandType.Int64),
        new("learning_rate", OperandType.Float),
        new("group_index", OperandType.Int64),
        new("gradient_scale", OperandType.Float),
        new("apply", OperandType.Bool),
        new("coupled_decay", OperandType.Float, variant => variant.Base.HasCoupledDecay),
        new("momentum", OperandType.Float, HasMomentum),
        new("one_minus_dampening", OperandType.Float, HasMomentum),
        new("beta1", OperandType.Float, IsAdam),
        new("one_minus_beta1", OperandType.Float, IsAdam),
        new("beta2", OperandType.Float, IsAdam),
        new("one_minus_beta2", OperandType.Float, IsAdam),
        new("half_log_beta1", OperandType.Float, IsAdam),
        new("half_log_beta2", OperandType.Float, IsAdam),
        new("epsilon", OperandType.Float, IsAdam),
        new("weight_decay", OperandType.Float, variant => variant.Base.HasDecay),
        new("lambda", OperandType.Float, IsConstrained),
        new("kappa", OperandType.Float, IsConstrained),
        new("detector", OperandType.Float, IsConstrained),
        new("matrix_index", OperandType.Int64, IsConstrained),
        new("kappa_update", OperandType.Float, IsConstrained),
        new("constraint_rate", OperandType.Float, IsConstrained),
        new("kappa_factor", OperandType.Float, Uses(BoundMethod.Dependent)),
        new("warm_start_steps", OperandType.Int64, Uses(BoundMethod.WarmStart)),
        new("sample_interval", OperandType.Int64, Uses(BoundMethod.InflectionPoint)),
        new("sample_decay", OperandType.Float, Uses(BoundMethod.InflectionPoint)),
        new("max_wait_steps", OperandType.Int64, Uses(BoundMethod.InflectionPoint)),
    ];

    private static readonly Row[] OutputRows =
    [
        new("new_parameter", OperandType.Float),
        new("new_exp_avg", OperandType.Float, IsAdam),
        new("new_exp_avg_sq", OperandType.Float, IsAdam),
        new("new_max_exp_avg_sq", OperandType.Float, variant => variant.AmsGrad),
        new("new_momentum_buffer", OperandType.Float, HasMomentum),
        new("new_lambda", OperandType.Float, IsConstrained),
        new("new_kappa", OperandType.Float, IsConstrained),
        new("new_detector", OperandType.Float, IsConstrained),
    ];

    public static IReadOnlyList<Operand> InputsOf(UpdateVariant variant) => Select(InputRows, variant);

    public static IReadOnlyList<Operand> OutputsOf(UpdateVariant variant) => Select(OutputRows, variant);

    private static Operand[] Select(Row[] rows, UpdateVariant variant) =>
        [.. rows.Where(row => row.IsIn is null || row.IsIn(variant)).Select(row => new Operand(row.Name, row.Type))];

    private static bool IsAdam(UpdateVariant variant) => variant.Base.IsAdam;

    private static bool HasMomentum(UpdateVariant variant) => variant.Base.HasMomentum;

    private static bool IsConstrained(UpdateVariant variant) => variant.Regularizer is not null;

    private static Func<UpdateVariant, bool> Uses(BoundMethod method) =>
        variant => variant.Method is not null && UpdateVariant.Methods[variant.Method] == method;

    /// <summary>An operand and the variants that have it; null: all.</summary>
    private sealed record Row(string Name, OperandType Type, Func<UpdateVariant, bool>? IsIn = null);
}
