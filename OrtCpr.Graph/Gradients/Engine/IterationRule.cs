using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Loop and Scan. The backward pass is a Scan over the iterations in reverse order, as many as there were: it reads
/// the states with which each iteration began, which the forward node gives as additional outputs, computes the
/// iteration again and goes back through it. Gradients of outer values are sums over the iterations and travel along as
/// states; a weight of a matrix product is spared that, its factors are stacked and multiplied once at the
/// end.</summary>
internal sealed class IterationRule
{
    private readonly GraphBuilder _g;
    private readonly Forward _op;
    private readonly Iteration _loop;
    private readonly BodyGradient _back;
    private readonly List<Product> _products = [];

    /// <summary>The backward pass under construction: body inputs with what the node reads for them, body outputs with whose
    /// gradient they are.</summary>
    private readonly List<(Value InBody, Value Initial)> _states = [];
    private readonly List<(Value InBody, Func<Value> Stack, long Axis, long Direction)> _slices = [];
    private readonly List<(Value InBody, long Axis, long Direction)> _outputs = [];

    /// <summary>y = alpha·a·op(weight) inside the body.</summary>
    private sealed record Product(Value Weight, Value A, Value Dy, bool Transposed, float Alpha);

    public IterationRule(GraphBuilder g, Forward op, Iteration loop)
    {
        _g = g;
        _op = op;
        _loop = loop;
        _back = new BodyGradient(loop.Body, g.Graph.Names, op.Rules);
    }

    public Value?[] Run()
    {
        Value[] captured = [.. _op.Captured], activeCaptured = [.. captured.Where(_op.Active.Contains)];
        Iteration.Slice[] scanned = [.. _loop.ScanInputs.Where(s => _op.Active.Contains(_loop.Node.Inputs[s.NodeIndex]!))];
        Iteration.State[] states = ActiveStates(scanned.Select(s => s.InBody).Concat(activeCaptured));
        bool surelyRuns = _loop.SurelyRuns(_g.Known);
        _back.Graph.Inputs.Clear();
        IReadOnlyDictionary<Value, Value> found =
            _back.Differentiate(Seeds(states), [.. states.Select(s => s.Input), .. scanned.Select(s => s.InBody), .. activeCaptured],
                surelyRuns ? WithProductsApart(activeCaptured) : null);

        _back.Builder.Scope = $"{_loop.Body.Name}_grad";
        foreach (Iteration.State state in states)
        {
            _back.AddOutput(found.TryGetValue(state.Input, out Value? gradient) ? gradient
                : _back.Builder.Filled(0, _back.Inner(state.Input)));
        }
        Value[] sums = [.. activeCaptured.Where(found.ContainsKey)];
        foreach (Value value in sums) AddSum(value, found[value]);
        Iteration.Slice[] cut = [.. scanned.Where(s => found.ContainsKey(s.InBody))];
        foreach (Iteration.Slice slice in cut) AddSlices(found[slice.InBody], slice.Axis, 1 - slice.Direction);
        foreach (Product product in _products)
        {
            AddSlices(product.A, 0, 1);
            AddSlices(product.Dy, 0, 1);
        }
        Term[] results = Emit(surelyRuns);

        var gradients = new Value?[_loop.Node.Inputs.Count + captured.Length];
        for (int i = 0; i < states.Length; i++) gradients[states[i].NodeInput] = results[i].Like(_loop.Node.Inputs[states[i].NodeInput]!);
        for (int i = 0; i < cut.Length; i++)
            gradients[cut[i].NodeIndex] = results[_states.Count + i].Like(_loop.Node.Inputs[cut[i].NodeIndex]!);
        foreach (Value value in activeCaptured)
        {
            Value? sum = Array.IndexOf(sums, value) is int at and >= 0 ? results[states.Length + at].Like(value) : null;
            for (int i = 0; i < _products.Count; i++)
            {
                if (_products[i].Weight != value) continue;
                // The stacked factors of a product follow the states and the slices, two by two.
                int first = _states.Count + cut.Length + (2 * i);
                Value part = WeightGradient(_products[i], results[first], results[first + 1]);
                sum = sum is null ? part : _g.Add(sum, part).Like(value);
            }
            gradients[_loop.Node.Inputs.Count + Array.IndexOf(captured, value)] = sum;
        }
        return gradients;
    }

    /// <summary>Floating states that a differentiated value reaches, in the first iteration or a later one. A sequence
    /// of tensors has no type here.</summary>
    private Iteration.State[] ActiveStates(IEnumerable<Value> others)
    {
        var active = new HashSet<Value>(others);
        foreach (Iteration.State state in _loop.States)
        {
            if (_op.Active.Contains(_loop.Node.Inputs[state.NodeInput]!)) active.Add(state.Input);
        }
        int before;
        do
        {
            before = active.Count;
            foreach (Node node in _loop.Body.Nodes)
            {
                if (_op.Rules.IsConstant(node) || !OnnxGraph.ReadBy(node).Any(active.Contains)) continue;
                active.UnionWith(node.Outputs.OfType<Value>().Where(o => o.Type.IsFloating() || o.Type == ElementType.Undefined));
            }
            active.UnionWith(_loop.States.Where(s => active.Contains(s.Output)).Select(s => s.Input));
        }
        while (active.Count > before);
        if (_loop.States.FirstOrDefault(s => active.Contains(s.Input) && !s.Input.Type.IsFloating()) is Iteration.State other)
        {
            throw new UnsupportedGradientException(
                $"Node {_loop.Node.Label} carries '{other.Input.Name}', which is no floating tensor but depends on what is differentiated "
                + "(a sequence or optional). Collect tensors as scan outputs of the loop instead, and export the model again.");
        }
        return [.. _loop.States.Where(s => active.Contains(s.Input))];
    }

    /// <summary>What comes back to an iteration: gradients of its states, from the iteration after it, and of its
    /// slices.</summary>
    private List<(Value, Value)> Seeds(Iteration.State[] states)
    {
        var seeds = new List<(Value, Value)>();
        foreach (Iteration.State state in states)
        {
            Value inner = _back.Inner(state.Input);
            if (inner.Shape is null)
            {
                throw new UnsupportedGradientException(
                    $"The rank of '{state.Input.Name}', a state of node {_loop.Node.Label}, is unknown, and the backward pass through the "
                    + "iterations needs it. Give the model's inputs a known rank and export it again.");
            }
            Value last = _op.Dy(state.NodeOutput) ?? _g.Filled(0, _loop.Node.Inputs[state.NodeInput]!);
            Value seed = _back.Graph.AddInput($"{state.Output.Name}_grad", inner.Type, inner.Shape);
            _states.Add((seed, last));
            seeds.Add((state.Output, seed));
        }
        foreach (Iteration.Slice slice in _loop.ScanOutputs)
        {
            if (_op.Dy(slice.NodeIndex) is not Value dy) continue;
            Value inner = _back.Inner(slice.InBody);
            Value seed = new(_g.Graph.Names.Unique($"{slice.InBody.Name}_grad"), inner.Type, inner.Shape);
            _slices.Add((seed, () => dy, slice.Axis, 1 - slice.Direction));
            seeds.Add((slice.InBody, seed));
        }
        return seeds;
    }

    /// <summary>The rules in force, but for products with an outer matrix: their factors are kept instead of
    /// multiplied. Only in this body: bodies inside it have a builder of their own.</summary>
    private GradientRules WithProductsApart(Value[] captured)
    {
        GradientRules rules = _op.Rules;
        foreach (string opType in new[] { "MatMul", "Gemm" })
        {
            GradientRule rule = rules.Find(new Node("", opType, ""))!;
            rules = rules.Replace(opType, (g, op, dy) =>
            {
                Value?[] results = rule(g, op, dy);
                if (g != _back.Builder || !captured.Contains(op.In(1)) || op.In(1).Shape is not { Rank: 2 }
                    || op.In(0).Shape is not { Rank: >= 2 } || op.Node.Int("transA", 0) != 0)
                {
                    return results;
                }
                _products.Add(new Product(op.In(1), op.In(0), dy, op.Node.Int("transB", 0) != 0, op.Node.Float("alpha", 1)));
                return [results[0], null, .. results.Skip(2)];
            });
        }
        return rules;
    }

    /// <summary>dW = α·Aᵀ·dY over all rows of all iterations.</summary>
    private Value WeightGradient(Product product, Value a, Value dy)
    {
        Value rows = MatrixRules.Flat(_g, a), dRows = MatrixRules.Flat(_g, dy);
        Term gradient = product.Transposed
            ? _g.Gemm(dRows, rows, true, false, product.Alpha)
            : _g.Gemm(rows, dRows, true, false, product.Alpha);
        return gradient.Like(product.Weight);
    }

    private void AddSum(Value outer, Value gradient)
    {
        Value sum = _back.Graph.AddInput($"{outer.Name}_grad/sum", outer.Type, outer.Shape);
        _states.Add((sum, _g.Filled(0, outer)));
        _back.AddOutput(_back.Builder.Add(sum, gradient).Like(outer));
    }

    private void AddSlices(Value gradient, long axis, long direction)
    {
        _back.AddOutput(gradient);
        _outputs.Add((_back.Graph.Outputs[^1], axis, direction));
    }

    /// <summary>Writes the Scan that goes back. Scan does not run without an iteration; a loop that may have none has
    /// no slices to go back to, only states.</summary>
    private Term[] Emit(bool surelyRuns)
    {
        HashSet<Value> read = _back.Finish();
        foreach (Iteration.Slice slice in _loop.ScanInputs)
            _slices.Add((_back.Inner(slice.InBody), () => _loop.Node.Inputs[slice.NodeIndex]!, slice.Axis, 1 - slice.Direction));
        foreach (Value input in _loop.States.Select(s => s.Input).Concat(_loop.Counters))
            _slices.Add((_back.Inner(input), () => _loop.Stacked(_g, input), 0, 1));
        // One of them says how many iterations there were, even if none is read.
        var slices = _slices.Where(s => read.Contains(s.InBody)).ToList();
        if (slices.Count == 0) slices.Add(_slices[^1]);
        foreach ((Value inBody, _, _, _) in slices) _back.Graph.Inputs.Add(inBody);
        Value?[] inputs = [.. _states.Select(s => s.Initial), .. slices.Select(s => s.Stack())];
        Term[] results = surelyRuns ? Scan(_g, inputs, slices) : IfAny(inputs, slices);
        for (int i = 0; i < results.Length; i++)
        {
            Value inBody = _back.Graph.Outputs[i];
            Shape? shape = i < _states.Count ? inBody.Shape : inBody.Shape is Shape s ? Joined(s, _outputs[i - _states.Count].Axis) : null;
            results[i].Typed(inBody.Type, shape);
        }
        return results;
    }

    private Term[] Scan(GraphBuilder g, Value?[] inputs, List<(Value InBody, Func<Value> Stack, long Axis, long Direction)> slices) =>
        g.Ops("Scan", _back.Graph.Outputs.Count, inputs, ("body", _back.Graph), ("num_scan_inputs", slices.Count),
            ("scan_input_axes", Longs(slices, s => s.Axis)), ("scan_input_directions", Longs(slices, s => s.Direction)),
            ("scan_output_axes", Longs(_outputs, o => o.Axis)), ("scan_output_directions", Longs(_outputs, o => o.Direction)));

    /// <summary>Without an iteration the gradients of the last states are those of the first, and nothing has been
    /// added to the sums.</summary>
    private Term[] IfAny(Value?[] inputs, List<(Value InBody, Func<Value> Stack, long Axis, long Direction)> slices)
    {
        Value any = _g.Squeeze(_g.DimOf(inputs[_states.Count]!, 0), 0) > 0;
        OnnxGraph Branch(string name, Func<GraphBuilder, Value[]> write)
        {
            var branch = new OnnxGraph(_g.Graph.Names.Unique(name), _g.Graph.Names);
            foreach (Value output in write(new GraphBuilder(branch) { Scope = branch.Name })) branch.Outputs.Add(output);
            return branch;
        }
        OnnxGraph back = Branch("iterations", b => [.. Scan(b, inputs, slices).Select((r, i) => r.Like(_back.Graph.Outputs[i]))]);
        OnnxGraph none = Branch("no_iteration", b => [.. _states.Select(s => b.Identity(s.Initial).Like(s.Initial))]);
        return _g.Ops("If", _states.Count, [any], ("then_branch", back), ("else_branch", none));
    }

    private static long[] Longs<T>(IEnumerable<T> items, Func<T, long> value) => [.. items.Select(value)];

    private static Shape Joined(Shape slice, long axis)
    {
        List<Dim> dims = [.. slice];
        dims.Insert((int)(axis < 0 ? axis + dims.Count + 1 : axis), Dim.Unknown);
        return new Shape(dims);
    }
}
