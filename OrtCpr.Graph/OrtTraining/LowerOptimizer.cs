using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph.OrtTraining;

// Turns an optimizer_model.onnx into an optimizer graph of standard operators. Sequences become their tensors. Operators that write to
// their inputs become plain mathematics: a tensor of a sequence is a cell whose value changes from node to node in file order, and what the
// cells of the inputs hold at the end are the outputs.
internal sealed class LowerOptimizer
{
    // State that counts applied steps, int64 [1]; the graph's own input `step` is one more.
    public const string StepState = "optimizer.step";

    // Whether a step was applied.
    public const string StepApplied = "step_applied";

    private static readonly Dictionary<string, Action<LowerOptimizer, Node>> Writers = new(StringComparer.Ordinal)
    {
        ["com.microsoft.AdamWOptimizer"] = (l, n) => l.AdamW(n),
        ["com.microsoft.SGDOptimizerV2"] = (l, n) => l.Sgd(n),
        ["com.microsoft.InplaceClipGradNorm"] = (l, n) => l.Clip(n),
    };

    private readonly OnnxModel _model = OnnxModel.Create("optimizer", UpgradeOpset.Target);
    private readonly GraphBuilder _g;
    private readonly GraphCopier _copier;
    private readonly Dictionary<Value, Cell[]> _sequences = [];
    private readonly List<Cell> _cells = [];
    private readonly Dictionary<string, TensorUse> _uses = new(StringComparer.Ordinal);
    private readonly Dictionary<Value, string> _keys = [];

    private LowerOptimizer()
    {
        _g = new GraphBuilder(_model.Graph);
        _copier = new GraphCopier(_model.Names, suffix: "");
        _model.Opsets["com.microsoft"] = 1;
    }

    // A tensor of a sequence.
    private sealed class Cell(Value current)
    {
        public Value Current { get; set; } = current;
    }

    // inputs: tensors of each sequence input, in the order of the parameters.
    public static LoweredOptimizer Run(OnnxModel source, IReadOnlyDictionary<string, IReadOnlyList<SequenceTensor>> inputs)
    {
        ConstantsToInitializers.Run(source, TensorPlaces.None);
        UpgradeOpset.Run(source);
        source.Graph.Sort();
        var pass = new LowerOptimizer();
        pass.Graph(source.Graph, inputs);
        RemoveDeadNodes.Run(pass._model.Graph);
        GraphChecker.Check(pass._model, "lower optimizer");
        return new LoweredOptimizer(pass._model, pass._uses);
    }

    private void Graph(OnnxGraph source, IReadOnlyDictionary<string, IReadOnlyList<SequenceTensor>> inputs)
    {
        OnnxGraph graph = _model.Graph;
        Value steps = Read(StepState, ElementType.Int64, [1]), next = _g.Add(steps, _g.Ints(1));
        foreach (Value initializer in source.Initializers)
        {
            _copier.Map[initializer] = graph.AddInitializer(initializer.Name, initializer.Data!);
        }
        foreach (Value input in source.Inputs.Where(i => !i.IsInitializer))
        {
            if (input.Name == "step")
            {
                _copier.Map[input] = next;
            }
            else if (input.Name == UpdateRule.LearningRateScalar)
            {
                _copier.Map[input] = Read(input.Name, ElementType.Float, [1]);
            }
            else if (inputs.TryGetValue(input.Name, out IReadOnlyList<SequenceTensor>? tensors))
            {
                _sequences[input] = [.. tensors.Select(t => NewCell(Read(t.Key, t.Type, t.Dimensions)))];
            }
            else
            {
                throw new LoweringException($"Input '{input.Name}' of the optimizer model is none that a training session feeds "
                    + $"(learning_rate, step, {string.Join(", ", inputs.Keys)}). Generate the artifacts again.");
            }
        }
        (Cell Cell, Value Before)[] state = [.. _cells.Select(c => (c, c.Current))];
        foreach (Node node in source.Nodes) Visit(node);

        _g.Scope = StepApplied;
        Value flag = _g.Reshape(_g.Cast(_copier.Map[source.Outputs[0]], ElementType.Bool), 1);
        _uses[StepApplied] =
            new TensorUse(PlanGraph.Optimizer, null, Output(flag, StepApplied, GraphBuilder.Typed(flag, ElementType.Bool, Shape.Of(1))));
        (Value Before, Value After)[] changed =
            [(steps, _g.Where(flag, next, steps)), .. state.Where(s => s.Cell.Current != s.Before).Select(s => (s.Before, s.Cell.Current))];
        foreach ((Value before, Value after) in changed)
        {
            string key = _keys[before];
            _uses[key] = _uses[key] with { Output = Output(after, OptimizerGraphBuilder.UpdatedOf(before.Name), before) };
        }
        IReadOnlyList<string> problems =
            InPlaceRule.Problems(_model,
            [.. _uses.Values.Where(u => u.Input is not null && u.Output is not null).Select(u => (u.Input!, u.Output!))]);
        if (problems.Count > 0)
        {
            throw new LoweringException($"The optimizer model reads tensors that it may have overwritten by then: "
                + $"{string.Join("; ", problems.Take(5))}. Let what is written follow from what was read, or use an optimizer of ours: "
                + "ortcpr artifacts swap-optimizer.");
        }
    }

    private string Output(Value value, string name, Value like)
    {
        _g.Scope = name;
        return _g.AddOutput(value, name, like).Name;
    }

    // The name in the graph is whatever is free there.
    private Value Read(string key, ElementType type, IReadOnlyList<long> dimensions)
    {
        Value input = _model.Graph.AddInput(key, type, Shape.Of(dimensions));
        _uses[key] = new TensorUse(PlanGraph.Optimizer, input.Name);
        _keys[input] = key;
        return input;
    }

    private Cell NewCell(Value value)
    {
        var cell = new Cell(value);
        _cells.Add(cell);
        return cell;
    }

    private void Visit(Node node)
    {
        _g.Scope = node.Name.Length > 0 ? node.Name : node.OpType;
        if (Writers.TryGetValue(node.QualifiedType, out Action<LowerOptimizer, Node>? writer)) writer(this, node);
        else if (node.Is("If") && node.Subgraphs.Any(Writes)) Branches(node);
        else if (!Sequence(node)) Copy(node);
    }

    private static bool Writes(OnnxGraph body) => body.Nodes.Any(n => Writers.ContainsKey(n.QualifiedType) || n.Subgraphs.Any(Writes));

    private void Copy(Node node)
    {
        if (node.Inputs.Any(i => i is not null && _sequences.ContainsKey(i)) || node.Subgraphs.Any(Writes))
        {
            throw new LoweringException($"Node {node.Label} of the optimizer model works on a sequence of tensors in a way that has no "
                + "counterpart in stock ONNX Runtime. Use an optimizer of ours instead: ortcpr artifacts swap-optimizer.");
        }
        Node copy = _copier.Node(node);
        _model.Graph.Nodes.Add(copy);
        _g.Known.Visit(copy);
    }

    private Value In(Node node, int input) => _copier.Map[node.Inputs[input]!];

    private Cell[] Cells(Node node, int input) => node.In(input) is Value sequence && _sequences.TryGetValue(sequence, out Cell[]? cells)
        ? cells
        : throw new LoweringException($"Input {input} of node {node.Label} is no sequence that is known. Generate the artifacts again.");

    // Taking a tensor out of a sequence and putting tensors into one copies them.
    private bool Sequence(Node node)
    {
        Value output = node.Outputs[0]!;
        switch (node.OpType)
        {
            case "SequenceConstruct": _sequences[output] = [.. node.Inputs.Select((_, i) => NewCell(In(node, i)))]; return true;
            case "SequenceEmpty": _sequences[output] = []; return true;
            case "SequenceInsert":
                Cell[] before = Cells(node, 0);
                int at = node.In(2) is null ? before.Length : Position(node, 2, before.Length);
                _sequences[output] = [.. before[..at], NewCell(In(node, 1)), .. before[at..]];
                return true;
            case "SequenceAt": _copier.Map[output] = Cells(node, 0)[Position(node, 1, Cells(node, 0).Length)].Current; return true;
            case "SequenceLength": _copier.Map[output] = _g.Int(Cells(node, 0).Length); return true;
            case "Identity" when _sequences.TryGetValue(node.Inputs[0]!, out Cell[]? cells):
                _sequences[output] =
                [.. cells.Select(c => NewCell(c.Current))]; return true;
            default: return false;
        }
    }

    private int Position(Node node, int input, int length) => _g.Known.Constants(In(node, input)) is [long at] && at >= -length
        && at < length ? (int)(at < 0 ? at + length : at)
        : throw new LoweringException($"The position in node {node.Label} is not constant, or not below the length {length} of its "
            + "sequence. Generate the artifacts for this model's parameters.");

    // Both branches are computed; the condition selects what each cell and output holds.
    private void Branches(Node node)
    {
        Value condition = _g.Op("Reshape", [In(node, 0), _g.Constant(TensorData.From<long>([], 0))]);
        Value[] start = Current();
        Value[] then = Branch(node.Graph("then_branch")), thenCells = Current();
        for (int i = 0; i < start.Length; i++) _cells[i].Current = start[i];
        Value[] other = Branch(node.Graph("else_branch"));
        for (int i = 0; i < start.Length; i++) _cells[i].Current = Select(condition, thenCells[i], _cells[i].Current);
        for (int i = 0; i < then.Length; i++)
        {
            if (node.Outputs[i] is Value output) _copier.Map[output] = Select(condition, then[i], other[i]);
        }
    }

    private Value[] Current() => [.. _cells.Select(c => c.Current)];

    private Value[] Branch(OnnxGraph body)
    {
        foreach (Node node in body.Nodes) Visit(node);
        return [.. body.Outputs.Select(o => _copier.Map[o])];
    }

    // Where has no kernel for booleans.
    private Value Select(Value condition, Value a, Value b) => a == b ? a
        : a.Type == ElementType.Bool ? _g.Or(_g.And(condition, a), _g.And(_g.Not(condition), b))
        : GraphBuilder.Like(_g.Where(condition, a, b), b);

    private void Write(Cell cell, Value value, Value? signal) =>
        cell.Current = signal is null ? GraphBuilder.Like(value, cell.Current)
            : GraphBuilder.Like(_g.Where(signal, value, cell.Current), cell.Current);

    private Value? Signal(Node node, int input) =>
        node.In(input) is null ? null : _g.Op("Reshape", [In(node, input), _g.Constant(TensorData.From<long>([], 0))]);

    private void Finish(Node node, Value? signal, params Cell[][] written)
    {
        _copier.Map[node.Outputs[0]!] = signal is null ? _g.Constant(TensorData.From<bool>([true], 1)) : _g.Reshape(signal, 1);
        for (int i = 0; i < written.Length; i++)
        {
            if (i + 1 < node.Outputs.Count && node.Outputs[i + 1] is Value output) _sequences[output] = written[i];
        }
    }

    private Value Rate(Node node) => _g.Op("Reshape", [In(node, 0), _g.Constant(TensorData.From<long>([], 0))]);

    // m = β₁m + (1-β₁)g, v = β₂v + (1-β₂)g². Mode 0 decays first and adds ε to the corrected root; mode 1 (Hugging Face) adds it to the
    // plain root and decays last.
    private void AdamW(Node node)
    {
        float beta1 = node.Float("alpha", 0.9f), beta2 = node.Float("beta", 0.999f), epsilon = node.Float("epsilon", 1e-8f),
            decay = node.Float("weight_decay", 1e-2f);
        bool correct = node.Int("correct_bias", 1) != 0, decayFirst = node.Int("adam_mode", 0) == 0;
        Value rate = Rate(node),
            step = _g.Cast(_g.Op("Reshape", [In(node, 1), _g.Constant(TensorData.From<long>([], 0))]), ElementType.Float);
        Value? signal = Signal(node, 6), first = correct ? Correction(step, beta1) : null, second = correct ? Correction(step, beta2)
            : null;
        Cell[] weights = Cells(node, 2), gradients = Cells(node, 3), means = Cells(node, 4), squares = Cells(node, 5);
        Value Decayed(Value w) => decay == 0 ? w : _g.Sub(w, _g.Mul(_g.Mul(w, rate), decay));
        for (int i = 0; i < weights.Length; i++)
        {
            Value w = weights[i].Current, gradient = gradients[i].Current;
            Value m = _g.Add(_g.Mul(means[i].Current, beta1), _g.Mul(gradient, 1f - beta1));
            Value v = _g.Add(_g.Mul(squares[i].Current, beta2), _g.Mul(_g.Mul(gradient, gradient), 1f - beta2));
            Value root = _g.Sqrt(v), size = rate;
            if (decayFirst)
            {
                w = Decayed(w);
                root = _g.Add(second is null ? root : _g.Div(root, _g.Sqrt(second)), epsilon);
                if (first is not null) size = _g.Div(rate, first);
            }
            else
            {
                root = _g.Add(root, epsilon);
                if (first is not null) size = _g.Div(_g.Mul(rate, _g.Sqrt(second!)), first);
            }
            w = _g.Sub(w, _g.Div(_g.Mul(m, size), root));
            Write(weights[i], decayFirst ? w : Decayed(w), signal);
            Write(means[i], m, signal);
            Write(squares[i], v, signal);
        }
        Finish(node, signal, weights, means, squares);
    }

    private Value Correction(Value step, float beta) =>
        ScaleByAdam.Correction(_g, _g.Term(step), _g.Scalar(-Math.Log(beta) / 2, ElementType.Float));

    // w -= η·g.
    private void Sgd(Node node)
    {
        Value rate = Rate(node);
        Value? signal = Signal(node, 3);
        Cell[] weights = Cells(node, 1), gradients = Cells(node, 2);
        for (int i = 0; i < weights.Length; i++) Write(weights[i], _g.Sub(weights[i].Current, _g.Mul(gradients[i].Current, rate)), signal);
        Finish(node, signal, weights);
    }

    // g *= min(1, max / (‖g‖ + 10⁻⁶)) with the norm over all of them.
    private void Clip(Node node)
    {
        Cell[] gradients = Cells(node, 0);
        Value norm = _g.Sqrt(_g.Op("Sum", [.. gradients.Select(c => _g.ReduceSum(_g.Mul(c.Current, c.Current), false))]));
        Value factor = _g.Min(_g.Div(_g.Scalar(node.Float("max_norm", 1), norm.Type), _g.Add(norm, 1e-6)), _g.Scalar(1, norm.Type));
        foreach (Cell cell in gradients) Write(cell, _g.Mul(cell.Current, factor), null);
        _sequences[node.Outputs[0]!] = gradients;
    }
}

/// <summary>A tensor of a sequence that the optimizer model is fed with.</summary>
internal sealed record SequenceTensor(string Key, ElementType Type, IReadOnlyList<long> Dimensions);

/// <summary>The optimizer graph, and where it reads and writes each tensor.</summary>
internal sealed record LoweredOptimizer(OnnxModel Model, IReadOnlyDictionary<string, TensorUse> Uses);
