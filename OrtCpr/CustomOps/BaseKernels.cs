using OrtCpr.Graph.Optimizers;
using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>What every base rule reads besides its own settings.</summary>
internal readonly record struct StepScalars(long Step, long Group, float LearningRate, float GradientScale);

/// <summary>The kernel of one base rule: which links it does in one pass, and its scalars for a step.</summary>
internal abstract unsafe class BaseKernel
{
    /// <summary>A new base rule with a kernel is a row here.</summary>
    private static readonly Dictionary<Type, BaseKernel> Table = new()
    {
        [typeof(ScaleByAdam)] = new AdamKernel(),
        [typeof(ScaleByMomentum)] = new SgdKernel(),
        [typeof(ScaleByLion)] = new LionKernel(),
    };

    /// <summary>The kernel that does all the links, those of the constraint excepted; null when there is none.</summary>
    public static BaseKernel? Find(IEnumerable<UpdateLink> links)
    {
        UpdateLink[] all = [.. links.Where(l => l.Stage != UpdateStage.NewParameter)];
        UpdateLink? rule = all.FirstOrDefault(l => l.Stage == UpdateStage.Direction);
        return rule is not null && Table.TryGetValue(rule.GetType(), out BaseKernel? kernel) && all.All(l => l == rule || kernel.Fuses(l))
            ? kernel : null;
    }

    /// <summary>Whether the kernel does the link in its own pass over the elements.</summary>
    protected abstract bool Fuses(UpdateLink link);

    /// <summary>Writes the scalars of a step and gives the function that uses them.</summary>
    /// <param name="rule">The base rule.</param>
    /// <param name="settings">The operator's settings of one parameter.</param>
    /// <param name="step">What all rules read.</param>
    /// <param name="coefficients">Room of <see cref="UpdateTasks.CoefficientBytes"/> for the scalars.</param>
    public abstract BaseStep Read(UpdateLink rule, in UpdateSettings settings, in StepScalars step, void* coefficients);
}

/// <summary>The settings of one parameter among those of an update operator, by slot name.</summary>
/// <param name="context">The running node.</param>
/// <param name="index">Number of the parameter in the node.</param>
/// <param name="count">How many parameters the node steps.</param>
internal readonly unsafe ref struct UpdateSettings(KernelContext context, nint index, nint count)
{
    private readonly KernelContext _context = context;

    /// <summary>Whether the operator has the slot.</summary>
    public bool Has(string slot) => _context.Has(slot);

    /// <summary>A setting: one for all parameters of the node, or an element a parameter.</summary>
    public T Get<T>(string slot)
        where T : unmanaged
    {
        InputTensor<T> values = _context.In<T>(slot);
        if (values.Length == 1)
            return values.Data[0];
        _context.Expect(values, count);
        return values.Data[index];
    }

    /// <summary>A row of a shared tensor of rows, of which another tensor has as many.</summary>
    public float* Row(string slot, string other, string indexSlot, long row, int columns)
    {
        InputTensor<float> rows = _context.In<float>(slot), others = _context.In<float>(other);
        _ = _context.Element(others, indexSlot, row);
        _context.Expect(rows, others.Length * columns);
        return rows.Data + (row * columns);
    }

    /// <summary>An element of a shared vector.</summary>
    public T At<T>(string slot, string indexSlot, long at)
        where T : unmanaged
        => _context.Element(_context.In<T>(slot), indexSlot, at);
}

/// <summary>Adam, with decoupled decay or without.</summary>
internal sealed unsafe class AdamKernel : BaseKernel
{
    /// <inheritdoc/>
    protected override bool Fuses(UpdateLink link) => link is AddDecayedWeights;

    /// <inheritdoc/>
    public override BaseStep Read(UpdateLink rule, in UpdateSettings settings, in StepScalars step, void* coefficients)
    {
        double decay = settings.Has("weight_decay") ? settings.At<float>("weight_decay", "group_index", step.Group) : 0;
        *(AdamCoefficients*)coefficients = AdamCoefficients.At(
            step.Step, step.LearningRate, settings.Get<float>("half_log_beta1"), settings.Get<float>("half_log_beta2"), decay) with
        {
            GradientScale = step.GradientScale,
            Beta2 = settings.Get<float>("beta2"),
            OneMinusBeta1 = settings.Get<float>("one_minus_beta1"),
            OneMinusBeta2 = settings.Get<float>("one_minus_beta2"),
            Epsilon = settings.Get<float>("epsilon"),
        };
        return AdamStep.With((AdamCoefficients*)coefficients);
    }
}

/// <summary>SGD, with coupled decay or without.</summary>
internal sealed unsafe class SgdKernel : BaseKernel
{
    /// <inheritdoc/>
    protected override bool Fuses(UpdateLink link) => link is AddCoupledDecay;

    /// <inheritdoc/>
    public override BaseStep Read(UpdateLink rule, in UpdateSettings settings, in StepScalars step, void* coefficients)
    {
        bool hasMomentum = settings.Has("momentum"), isFirst = step.Step == 1;
        float momentum = hasMomentum ? settings.Get<float>("momentum") : 0;
        float rate = hasMomentum ? settings.Get<float>("one_minus_dampening") : 1;
        *(SgdCoefficients*)coefficients = new()
        {
            GradientScale = step.GradientScale,
            StepSize = step.LearningRate,
            Decay = settings.Has("coupled_decay") ? settings.Get<float>("coupled_decay") : 0,
            Momentum = momentum,
            BufferDecay = isFirst ? 0 : momentum,
            BufferRate = isFirst ? 1 : rate,
            Nesterov = ((ScaleByMomentum)rule).Nesterov,
        };
        return SgdStep.With((SgdCoefficients*)coefficients);
    }
}

/// <summary>Lion, with decoupled decay or without.</summary>
internal sealed unsafe class LionKernel : BaseKernel
{
    /// <inheritdoc/>
    protected override bool Fuses(UpdateLink link) => link is AddDecayedWeights;

    /// <inheritdoc/>
    public override BaseStep Read(UpdateLink rule, in UpdateSettings settings, in StepScalars step, void* coefficients)
    {
        double decay = settings.Has("weight_decay") ? settings.At<float>("weight_decay", "group_index", step.Group) : 0;
        *(LionCoefficients*)coefficients = new()
        {
            GradientScale = step.GradientScale,
            OneMinusBeta1 = settings.Get<float>("one_minus_beta1"),
            OneMinusBeta2 = settings.Get<float>("one_minus_beta2"),
            StepSize = step.LearningRate,
            Decay = (float)(step.LearningRate * decay),
        };
        return LionStep.With((LionCoefficients*)coefficients);
    }
}
