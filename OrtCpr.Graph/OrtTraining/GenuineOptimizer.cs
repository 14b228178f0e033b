using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx.Proto;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph.OrtTraining;

// optimizer_model.onnx of the retired runtime, whose inputs are sequences over the parameters in an order that differs from process to
// process. A kind of optimizer is a derived class.
internal abstract class GenuineOptimizer
{
    private const int Opset = 18, IrVersion = 9;

    private readonly OptimizerOptions _options;

    protected GenuineOptimizer(OptimizerOptions options, IReadOnlyList<ParameterSpec> parameters)
    {
        _options = options;
        Parameters = parameters;
    }

    protected IReadOnlyList<ParameterSpec> Parameters { get; }

    // The optimizer that does what the options say. Everything that cannot be had there is refused together.
    public static GenuineOptimizer Of(OptimizerOptions options, IReadOnlyList<ParameterSpec> parameters)
    {
        options = options.Resolve();
        var problems = new List<string>();
        if (options.Groups.Length != 1) problems.Add($"{options.Groups.Length} optimizer groups; it has one");
        if (options.Rescaling is not null) problems.Add("rescaling of the weights");
        if (parameters.Any(p => p.Type != ElementType.Float)) problems.Add("parameters that are not float32");
        UpdateRule rule = options.Groups[0];
        if (rule.Maximize) problems.Add($"{nameof(UpdateRule.Maximize)}");
        AddDecayedWeights? decay = rule.Links.OfType<AddDecayedWeights>().FirstOrDefault();
        if (decay is { WeightDecay: not 0, OnlyConstrained: true } && parameters.Any(p => !p.Constrained))
        {
            problems.Add($"{nameof(AddDecayedWeights)} on constrained parameters only; its AdamW decays all of them "
                + $"({nameof(AddDecayedWeights.OnlyConstrained)} = false)");
        }
        foreach (UpdateLink link in rule.Links.Where(l => l
            is not (ScaleByAdam { AmsGrad: false } or AddDecayedWeights or ConstrainNorm { EvaluateAt: EvaluateAt.Updated }
            or ScaleByMomentum { Momentum: 0 })))
        {
            problems.Add($"the link {link}");
        }

        if (rule.Links.OfType<ScaleByMomentum>().Any() && rule.Links.Length > 1) problems.Add("SGD with anything else; it has plain SGD");
        OptionException.ThrowIfAny("ONNX Runtime training 1.19.2 cannot run this optimizer: it has no", problems);
        return rule.Links.OfType<ScaleByAdam>().FirstOrDefault() is not ScaleByAdam adam ? new GenuineSgd(options, parameters)
            : rule.Constraint is ConstrainNorm constraint ? new GenuineAdamCpr(options, parameters, adam, decay, constraint)
            : new GenuineAdamW(options, parameters, adam, decay);
    }

    // State in the initial checkpoint; null where the runtime makes zeros by itself.
    public virtual IReadOnlyList<OrtParameterState>? InitialState(IReadOnlyDictionary<string, TensorData> parameters) => null;

    public OnnxModel Build()
    {
        OnnxModel model = OnnxModel.Create("optimizer", Opset);
        model.IrVersion = IrVersion;
        model.Opsets["com.microsoft"] = 1;
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value rate = graph.AddInput("learning_rate", ElementType.Float, Shape.Of(1)),
            step = graph.AddInput("step", ElementType.Int64, Shape.Of(1));
        Value parameters = Sequence(graph, "params"), gradients = Sequence(graph, "gradients"),
            first = Sequence(graph, "first_order_moments");
        // A clipped gradient is written over the gradient itself.
        if (_options.MaxGradientNorm > 0)
        {
            gradients = g.Op("com.microsoft.InplaceClipGradNorm", [gradients], ("max_norm", (float)_options.MaxGradientNorm));
        }
        Value flag = g.Named(Emit(g, new Operands(rate, step, parameters, gradients, first)), "updated_flag");
        // With a shape a model that is given as bytes would be refused where the operator infers a scalar.
        graph.Outputs.Add(GraphBuilder.Typed(flag, ElementType.Bool, FlagShape));
        GraphChecker.Check(model, "genuine optimizer");
        return model;
    }

    // Shape of the flag that the model gives out.
    protected virtual Shape? FlagShape => Shape.Of(1);

    protected sealed record Operands(Value Rate, Value Step, Value Parameters, Value Gradients, Value First);

    protected abstract Value Emit(GraphBuilder g, Operands o);

    protected static Value Sequence(OnnxGraph graph, string name)
    {
        Value value = graph.AddInput(name, ElementType.Undefined, null);
        var element = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)ElementType.Float } };
        value.Origin = new ValueInfoProto { Type = new TypeProto { SequenceType = new TypeProto.Types.Sequence { ElemType = element } } };
        return value;
    }

    // AdamWOptimizer in PyTorch's form: decay first, ε outside of the bias correction. Gives flag, parameters, moments.
    protected static Value[] AdamW(GraphBuilder g, Operands o, Value second, ScaleByAdam adam, AddDecayedWeights? decay) =>
        [.. g.Ops("com.microsoft.AdamWOptimizer", 4, [o.Rate, o.Step, o.Parameters, o.Gradients, o.First, second],
            ("alpha", (float)adam.Beta1), ("beta", (float)adam.Beta2), ("epsilon", (float)adam.Epsilon),
                ("weight_decay", (float)(decay?.WeightDecay ?? 0)), ("correct_bias", 1), ("adam_mode", 0))];
}

// SGD without momentum.
internal sealed class GenuineSgd(OptimizerOptions options, IReadOnlyList<ParameterSpec> parameters) : GenuineOptimizer(options, parameters)
{
    protected override Shape? FlagShape => null;

    protected override Value Emit(GraphBuilder g, Operands o) => g.Op("com.microsoft.SGDOptimizerV2", [o.Rate, o.Parameters, o.Gradients]);
}

// AdamW, and Adam as AdamW without decay.
internal sealed class GenuineAdamW(OptimizerOptions options, IReadOnlyList<ParameterSpec> parameters, ScaleByAdam adam,
    AddDecayedWeights? decay) : GenuineOptimizer(options, parameters)
{
    protected override Value Emit(GraphBuilder g, Operands o) => AdamW(g, o, Sequence(g.Graph, "second_order_moments"), adam, decay)[0];
}
