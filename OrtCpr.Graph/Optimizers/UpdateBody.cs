using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Graph.Optimizers;

/// <summary>The body of an update operator while its links write it. Scalars have rank 0, so that they broadcast to a parameter of any rank.</summary>
internal sealed class UpdateBody
{
    private readonly Func<string, Value> _inputs;
    private readonly Dictionary<string, Value> _state = new(StringComparer.Ordinal);

    public UpdateBody(GraphBuilder g, Operands operands)
    {
        G = g;
        _inputs = slot => operands[slot];
        Parameter = In("parameter");
        Type = Parameter.Type;
        Apply = g.Gather(In("apply"), In("parameter_index"));
        Step = g.Gather(In("step"), In("parameter_index"));
        LearningRate = g.Gather(In("learning_rate"), In("group_index"));
        Gradient = g.Mul(In("gradient"), In("gradient_scale"));
        Direction = Gradient;
    }

    /// <summary>The equations of a link on the new parameter alone, where some other node has taken the step.</summary>
    public UpdateBody(GraphBuilder g, IReadOnlyDictionary<string, Value> inputs, ElementType type, Value parameter, Value step)
    {
        G = g;
        Type = type;
        _inputs = slot => inputs[slot];
        Apply = g.Constant(TensorData.Scalar(true));
        Step = step;
        LearningRate = Gradient = Direction = Parameter = parameter;
    }

    public GraphBuilder G { get; }

    public ElementType Type { get; }

    // Whether this parameter changes at all in this step (scalar bool).
    public Value Apply { get; }

    // The parameter's own count of steps, this one included (scalar int64).
    public Value Step { get; }

    public Value LearningRate { get; }

    // Scaled gradient; links in front of the base rule may change it (coupled decay).
    public Value Gradient { get; set; }

    // What the learning rate multiplies: θ ← θ·Keep − lr·Direction.
    public Value Direction { get; set; }

    // Factor on the old θ from decoupled decay; null for 1.
    public Value? Keep { get; set; }

    // The parameter: old until the step is applied, new after it.
    public Value Parameter { get; set; }

    // What a constraint has taken from the new parameter; null without one.
    public Value? Correction { get; set; }

    public IReadOnlyDictionary<string, Value> NewState => _state;

    public Value In(string name) => _inputs(name);

    public void SetState(string name, Value value) => _state[name] = value;

    // θ ← θ·Keep − Direction·lr.
    public void TakeStep()
    {
        Value kept = Keep is null ? Parameter : G.Mul(Parameter, Keep);
        Parameter = G.Sub(kept, G.Mul(Direction, LearningRate));
        Keep = null;
    }

    public Value Sum(Value x) => G.SumInBlocks(x);

    public Value Scalar(double value) => G.Scalar(value, Type);

    // An old value where the step does not apply: never a product, since 0·NaN is NaN.
    public Value Select(Value updated, Value old) => G.Where(Apply, updated, old);
}
