using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Graph.Optimizers;

/// <summary>The body of an update operator while its links write it. Scalars have rank 0, so that they broadcast to a parameter of any
/// rank.</summary>
internal sealed class UpdateBody
{
    private readonly Func<string, Term> _inputs;
    private readonly Dictionary<string, Term> _state = new(StringComparer.Ordinal);

    public UpdateBody(GraphBuilder g, Operands operands)
    {
        G = g;
        _inputs = slot => operands[slot];
        Parameter = In("parameter");
        Type = Parameter.Type;
        Apply = g.Gather(In("apply"), In("parameter_index"));
        Step = g.Gather(In("step"), In("parameter_index"));
        LearningRate = g.Gather(In("learning_rate"), In("group_index"));
        Gradient = In("gradient") * In("gradient_scale");
        Direction = Gradient;
    }

    /// <summary>The equations of a link on the new parameter alone, where some other node has taken the step.</summary>
    public UpdateBody(GraphBuilder g, IReadOnlyDictionary<string, Value> inputs, ElementType type, Value parameter, Value step)
    {
        G = g;
        Type = type;
        _inputs = slot => g.Term(inputs[slot]);
        Apply = g.Constant(TensorData.Scalar(true));
        Step = g.Term(step);
        LearningRate = Gradient = Direction = Parameter = g.Term(parameter);
    }

    public GraphBuilder G { get; }

    public ElementType Type { get; }

    /// <summary>Whether this parameter changes at all in this step (scalar bool).</summary>
    public Term Apply { get; }

    /// <summary>The parameter's own count of steps, this one included (scalar int64).</summary>
    public Term Step { get; }

    /// <summary>Of the parameter's group (scalar).</summary>
    public Term LearningRate { get; }

    /// <summary>Scaled gradient; links before the base rule may change it (coupled decay).</summary>
    public Term Gradient { get; set; }

    /// <summary>What the learning rate multiplies: θ ← θ·Keep − lr·Direction.</summary>
    public Term Direction { get; set; }

    /// <summary>Factor on the old θ from decoupled decay; null for 1.</summary>
    public Term? Keep { get; set; }

    /// <summary>The parameter: old until the step is taken, new after it.</summary>
    public Term Parameter { get; set; }

    /// <summary>What a constraint has taken from the new parameter; null without one.</summary>
    public Term? Correction { get; set; }

    /// <summary>State after the step, by slot name.</summary>
    public IReadOnlyDictionary<string, Term> NewState => _state;

    /// <summary>An operand by slot name.</summary>
    public Term In(string name) => _inputs(name);

    /// <summary>States the new value of state.</summary>
    public void SetState(string name, Term value) => _state[name] = value;

    /// <summary>θ ← θ·Keep − Direction·lr.</summary>
    public void TakeStep()
    {
        Term kept = Keep is Term keep ? Parameter * keep : Parameter;
        Parameter = kept - Direction * LearningRate;
        Keep = null;
    }

    /// <summary>Σ over all elements, a scalar.</summary>
    public Term Sum(Term x) => G.SumInBlocks(x);

    /// <summary>A constant of the parameter's type.</summary>
    public Term Scalar(double value) => G.Scalar(value, Type);

    /// <summary>An old value where the step does not apply: never a product, since 0·NaN is NaN.</summary>
    public Term Select(Term updated, Term old) => G.Where(Apply, updated, old);
}
