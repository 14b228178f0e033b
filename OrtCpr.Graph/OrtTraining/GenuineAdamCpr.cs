using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Graph.OrtTraining;

// AdamCPR inside the retired runtime: its AdamW, then the constraint in standard operators. The runtime has no place for λ and κ, and hands
// parameters over in an order that nobody knows beforehand, so everything of a parameter rides behind its second moment: momentum1 = [v | λ
// κ samples e1 e2 state constrained]. Results go back by SGDOptimizerV2 inside If branches, the only node that writes an element of a
// sequence in place and is not counted as a second optimizer there.
internal sealed class GenuineAdamCpr : GenuineOptimizer
{
    // Behind v: λ, κ, the four columns of the detector, and whether the parameter is constrained at all.
    private const int Tail = 7;

    private readonly ScaleByAdam _adam;
    private readonly AddDecayedWeights? _decay;
    private readonly ConstrainNorm _constraint;

    public GenuineAdamCpr(OptimizerOptions options, IReadOnlyList<ParameterSpec> parameters, ScaleByAdam adam, AddDecayedWeights? decay,
        ConstrainNorm constraint) : base(options, parameters)
    {
        _adam = adam;
        _decay = decay;
        _constraint = constraint;
    }

    public override IReadOnlyList<OrtParameterState> InitialState(IReadOnlyDictionary<string, TensorData> parameters) =>
        [.. Parameters.Select(p =>
    {
        int n = checked((int)p.ElementCount);
        float[] second = new float[n + Tail];
        // κ that follows from the initial weights is worked out here: the runtime's AdamW overwrites them before the constraint could look.
        // An unset κ is 0 and not NaN, since it is written by differences.
        double? kappa = !p.Constrained ? null : _constraint.Bound is TimesInitialBound initial
            ? initial.Factor * _constraint.Regularizer.Measure<double>(parameters[p.Name].ToDoubles())
                : _constraint.Bound.Given(_constraint.Regularizer, n);
        second[n + 1] = (float)(kappa ?? 0);
        second[n + 5] = kappa is null ? 0 : 1;
        second[n + 6] = p.Constrained ? 1 : 0;
        return new OrtParameterState(p.Name,
            [new OrtTensor("momentum0", TensorData.From<float>(new float[n], [.. p.Dimensions])),
            new OrtTensor("momentum1", TensorData.From<float>(second, second.Length))]);
    })];

    protected override Value Emit(GraphBuilder g, Operands o)
    {
        Value states = Sequence(g.Graph, "second_order_moments");
        int n = Parameters.Count;
        Value[] old = new Value[n], tails = new Value[n], seconds = new Value[n], corrections = new Value[n], updated = new Value[n];
        for (int i = 0; i < n; i++)
        {
            g.Scope = $"state{i}";
            old[i] = At(g, states, i);
            Value gradient = At(g, o.Gradients, i), count = g.Op("Reshape", [g.Op("Size", [gradient]), g.Ints(1)]);
            tails[i] = g.Op("Slice", [old[i], g.Ints(-Tail), g.Ints(int.MaxValue), g.Ints(0)]);
            seconds[i] = Float(g.Op("Reshape", [g.Op("Slice", [old[i], g.Ints(0), count, g.Ints(0)]), g.Op("Shape", [gradient])]), null);
        }
        g.Scope = "adam";
        Value[] adam = AdamW(g, o, g.Op("SequenceConstruct", [.. seconds]), _adam, _decay);
        for (int i = 0; i < n; i++)
        {
            g.Scope = $"cpr{i}";
            Value tail = Constrain(g, o, At(g, adam[1], i), tails[i], out corrections[i]);
            Value state = g.Op("Concat", [g.Op("Reshape", [At(g, adam[3], i), g.Ints(-1)]), tail], ("axis", 0));
            updated[i] = g.Op("Neg", [state]);
        }
        g.Scope = "write";
        Value one = g.Constant(TensorData.From<float>([1], 1));
        Value weights = Write(g, o.Step, one, adam[1], g.Op("SequenceConstruct", [.. corrections]), "weights");
        // The old state is taken away first and the new one added then: both exact. The rate of the second waits for the flag of the first.
        Value cleared = Write(g, o.Step, one, states, g.Op("SequenceConstruct", [.. old]), "clear");
        Value stored = Write(g, o.Step, Float(g.Op("Cast", [cleared], ("to", (long)ElementType.Float)), Shape.Of(1)), states,
            g.Op("SequenceConstruct", [.. updated]), "store");
        return g.And(adam[0], g.And(weights, stored));
    }

    // The constraint of one parameter, whichever it is; one that is not constrained gets no correction and keeps its state.
    private Value Constrain(GraphBuilder g, Operands o, Value parameter, Value tail, out Value correction)
    {
        Value Part(int at, int count) => Float(g.Slice(tail, [at], [at + count], [0]), Shape.Of(count));
        Value size = g.Op("Cast", [g.Op("Size", [parameter])], ("to", (long)ElementType.Float)), zero = g.Int(0);
        Value rate = g.Scalar(_constraint.KappaUpdate, ElementType.Float);
        var inputs = new Dictionary<string, Value>(StringComparer.Ordinal)
        {
            ["lambda"] = Part(0, 1),
            ["kappa"] = Part(1, 1),
            ["detector"] = Float(g.Reshape(Part(2, 4), 1, 4), Shape.Of(1, 4)),
            ["matrix_index"] = zero,
            ["group_index"] = zero,
            ["kappa_update"] = _constraint.Regularizer == Regularizer.Std ? rate
                : Float(g.Div(rate, Float(size, Shape.Scalar)), Shape.Scalar),
            ["constraint_rate"] = _constraint.RegularizeByLearningRate ? o.Rate : g.Constant(TensorData.From<float>([1], 1)),
        };
        foreach (LinkSlot setting in _constraint.Bound.Slots(ElementType.Float)) inputs[setting.Name] = g.Constant(setting.Constant!);
        var body = new UpdateBody(g, inputs, ElementType.Float, parameter, g.Squeeze(o.Step, 0));
        // κ of a factor on R is in the state from the start, so at run time it is a given one.
        (_constraint.Bound is TimesInitialBound ? _constraint with { Bound = Bound.Fixed(0) } : _constraint).Emit(body);
        Value constrained = g.Greater(Part(Tail - 1, 1), g.Constant(TensorData.From<float>([0], 1)));
        correction = g.Where(g.Squeeze(constrained, 0), body.Correction!, g.Scalar(0, ElementType.Float));
        Value after = g.Concat(0, body.NewState["lambda"], body.NewState["kappa"], g.Reshape(body.NewState["detector"], -1),
            Part(Tail - 1, 1));
        return g.Where(constrained, after, tail);
    }

    // sequence[i] ← sequence[i] − rate·change[i], in place. The condition is always true, but not a constant, which would be folded and the
    // node counted.
    private static Value Write(GraphBuilder g, Value step, Value rate, Value sequence, Value change, string name)
    {
        Value always = g.Op("Greater", [step, g.Ints(0)]);
        OnnxGraph then = new(name, g.Graph.Names), otherwise = new($"{name}_not", g.Graph.Names);
        var inner = new GraphBuilder(then) { Scope = name };
        // The flag comes out as a scalar.
        then.Outputs.Add(Flag(inner.Op("Reshape", [inner.Op("com.microsoft.SGDOptimizerV2", [rate, sequence, change]), g.Ints(1)])));
        var none = new GraphBuilder(otherwise) { Scope = name };
        otherwise.Outputs.Add(Flag(none.Op("Constant", [], ("value", TensorData.From<bool>([false], 1)))));
        return Flag(g.Op("If", [always], ("then_branch", then), ("else_branch", otherwise)));
    }

    private static Value At(GraphBuilder g, Value sequence, int index) => Float(g.Op("SequenceAt", [sequence, g.Int(index)]), null);

    private static Value Float(Value value, Shape? shape) => GraphBuilder.Typed(value, ElementType.Float, shape);

    private static Value Flag(Value value) => GraphBuilder.Typed(value, ElementType.Bool, Shape.Of(1));
}
