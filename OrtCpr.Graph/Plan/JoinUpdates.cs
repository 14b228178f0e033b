using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph.Optimizers;

/// <summary>Where a joined optimizer graph reads and writes a kind of tensors of a segment as one flat buffer.</summary>
internal sealed record FlatUse(FlatSegment Segment, TensorRole Role, string Kind, string Input, string? Output);

/// <summary>An optimizer graph whose update nodes are joined.</summary>
/// <param name="Model">The graph.</param>
/// <param name="Operators">The operators that it calls beside those of the plan.</param>
/// <param name="Uses">Its flat inputs and outputs.</param>
internal sealed record JoinedOptimizer(OnnxModel Model, IReadOnlyList<OperatorDefinition> Operators, IReadOnlyList<FlatUse> Uses);

/// <summary>
/// Joins the update nodes of parameters that lie next to each other into one node over flat buffers, the norms of their gradients
/// likewise, and commits all running statistics at once: a step is then a handful of nodes, whatever the number of tensors.
/// </summary>
/// <remarks>
/// <code>
/// w1, w1_grad, w1.exp_avg …  → AdamW → w1.updated …
/// w2, w2_grad, w2.exp_avg …  → AdamW → w2.updated …
///     becomes
/// parameter.0, gradient.0, exp_avg.0, step …  → AdamW_joined → parameter.0.updated …
/// </code>
/// A joined operator has a kernel and no body, so the pass runs for a device that has the kernel; the graph with one node a parameter
/// is what is written to files and what everything else runs.
/// </remarks>
internal sealed class JoinUpdates
{
    private readonly TrainingPlan _plan;
    private readonly Func<OperatorDefinition, bool> _hasKernel;
    private readonly OnnxModel _model;
    private readonly OnnxGraph _graph;
    private readonly GraphBuilder _g;
    private readonly Dictionary<string, Value> _inputs;
    private readonly Dictionary<string, Value> _outputs;
    private readonly Dictionary<(FlatSegment, TensorRole, string), Value> _flat = [];
    private readonly Dictionary<string, OperatorDefinition> _operators = new(StringComparer.Ordinal);
    private readonly List<FlatUse> _uses = [];

    /// <summary>Rows go from node to node: the next reads what this one wrote, and the last is the graph's
    /// output.</summary>
    private readonly Dictionary<Value, Value> _rows = [];
    private readonly HashSet<Value> _dropped = [];
    private readonly HashSet<Node> _replaced = [];

    private JoinUpdates(TrainingPlan plan, Func<OperatorDefinition, bool> hasKernel)
    {
        _plan = plan;
        _hasKernel = hasKernel;
        _model = GraphCopier.Copy(plan.OptimizerModel).Model;
        _graph = _model.Graph;
        _g = new GraphBuilder(_graph);
        _inputs = _graph.Inputs.ToDictionary(i => i.Name, StringComparer.Ordinal);
        _outputs = _graph.Outputs.Distinct().ToDictionary(o => o.Name, StringComparer.Ordinal);
    }

    /// <summary>Joins what can be joined.</summary>
    /// <param name="plan">The job; its optimizer graph is copied.</param>
    /// <param name="layout">Where its tensors lie.</param>
    /// <param name="hasKernel">Whether the device has a kernel of an operator.</param>
    /// <returns>The joined graph; null where nothing could be joined.</returns>
    public static JoinedOptimizer? Run(TrainingPlan plan, FlatLayout layout, Func<OperatorDefinition, bool> hasKernel)
    {
        var pass = new JoinUpdates(plan, hasKernel);
        var joined = layout.Segments.Select(s => (Segment: s, Nodes: pass.UpdatesOf(s))).Where(s => s.Nodes is not null).ToList();
        // A tensor of rows is written as a whole, so its nodes are joined all or none.
        if (!pass.CoversRows(joined.SelectMany(s => s.Nodes!))) joined.RemoveAll(s => pass.HasRows(s.Nodes![0]));
        if (joined.Count == 0) return null;
        pass.JoinNorms(layout.Segments.Where(s => s.Kinds[0].Role == TensorRole.Parameter && s.Type == ElementType.Float));
        foreach ((FlatSegment segment, Node[]? nodes) in joined) pass.Join(segment, nodes!);
        foreach (FlatSegment segment in layout.Segments.Where(s => s.Kinds[0].Role == TensorRole.Statistic)) pass.JoinStatistics(segment);
        return pass.Finish();
    }

    private UpdateDefinition DefinitionOf(FlatSegment segment) => _plan.DefinitionOf(_plan.SpecOf(segment.Owners[0]));

    /// <summary>The update nodes of a segment, in order; null where they can't be joined.</summary>
    private Node[]? UpdatesOf(FlatSegment segment)
    {
        if (segment.Kinds[0].Role != TensorRole.Parameter || segment.Type != ElementType.Float) return null;
        UpdateDefinition definition = DefinitionOf(segment);
        if (!_hasKernel(new JoinedDefinition(definition))) return null;
        var nodes = new Node[segment.Owners.Count];
        for (int i = 0; i < nodes.Length; i++)
        {
            // What leaves the node must leave the graph as it is: rescaling, say, works on the new parameter.
            TensorUse? use = _plan.Find(TensorRole.Parameter, segment.Owners[i])!.UseIn(PlanGraph.Optimizer);
            if (use?.Output is null || !_outputs.TryGetValue(use.Output, out Value? output)) return null;
            if (output.Producer is not { Domain: OperatorDefinition.Domain } node || node.OpType != definition.Name) return null;
            nodes[i] = node;
        }
        return definition.Inputs.All(slot => CanJoin(slot, nodes, definition)) ? nodes : null;
    }

    private static bool CanJoin(OperatorSlot slot, Node[] nodes, UpdateDefinition definition)
    {
        int at = definition.InputIndex(slot.Name);
        return slot.Role switch
        {
            SlotRole.Parameter or SlotRole.Gradient or SlotRole.State => true,
            SlotRole.Setting or SlotRole.Index =>
            nodes.All(n => n.Inputs[at] == nodes[0].Inputs[at]) || nodes.All(n => n.Inputs[at]!.Data is not null),
            _ => nodes.All(n => n.Inputs[at] == nodes[0].Inputs[at]),
        };
    }

    private bool HasRows(Node node) => ((UpdateDefinition)_plan.Operators[node.OpType]).Inputs.Any(s => s.Role == SlotRole.ConstraintState);

    private bool CoversRows(IEnumerable<Node> joined)
    {
        var all = joined.ToHashSet();
        return _graph.Nodes.Where(n => n.Domain == OperatorDefinition.Domain && _plan.Operators[n.OpType] is UpdateDefinition && HasRows(n))
            .All(all.Contains);
    }

    private Value Flat(FlatSegment segment, TensorRole role, string kind)
    {
        if (_flat.TryGetValue((segment, role, kind), out Value? known)) return known;
        string name = kind.Length == 0 ? role.ToString().ToLowerInvariant() : kind;
        return _flat[(segment, role, kind)] = _graph.AddInput($"flat.{name}", segment.Type, Shape.Of([segment.Elements]));
    }

    private Value Vector(IEnumerable<long> values) => _g.Ints([.. values]);

    private void Join(FlatSegment segment, Node[] nodes)
    {
        UpdateDefinition single = DefinitionOf(segment);
        if (!_operators.TryGetValue(single.Name, out OperatorDefinition? joined))
            _operators[single.Name] = joined = new JoinedDefinition(single);
        Value[] inputs = [.. single.Inputs.Select((slot, i) => Passed(segment, slot, [.. nodes.Select(n => n.Inputs[i]!)])),
            Vector(segment.Starts), Vector(segment.Lengths)];
        _g.Scope = "update";
        Term[] results = joined.Call(_g, inputs);
        for (int i = 0; i < results.Length; i++)
        {
            OperatorSlot slot = single.Outputs[i];
            Value input = inputs[single.InputIndex(slot.Name)];
            if (slot.Role == SlotRole.ConstraintState)
            {
                GraphBuilder.Like(results[i], input);
                Hand(input, results[i]);
                continue;
            }
            (TensorRole role, string kind) = slot.Role == SlotRole.Parameter ? (TensorRole.Parameter, "") : (TensorRole.State, slot.Name);
            Value output = AddOutput(results[i], input);
            _uses.Add(new FlatUse(segment, role, kind, input.Name, output.Name));
            foreach (string owner in segment.Owners) Drop(_plan.Find(role, owner, kind)!);
        }
        foreach (string owner in segment.Owners) Drop(_plan.Find(TensorRole.Gradient, owner)!);
        _replaced.UnionWith(nodes);
    }

    private void Hand(Value input, Value output)
    {
        Value first = _rows.FirstOrDefault(r => r.Value == input).Key ?? input;
        _rows[first] = output;
    }

    private Value Passed(FlatSegment segment, OperatorSlot slot, Value[] values) => slot.Role switch
    {
        SlotRole.Parameter => Flat(segment, TensorRole.Parameter, ""),
        SlotRole.Gradient => Flat(segment, TensorRole.Gradient, ""),
        SlotRole.State => Flat(segment, TensorRole.State, slot.Name),
        SlotRole.ConstraintState => _rows.GetValueOrDefault(values[0], values[0]),
        SlotRole.Setting or SlotRole.Index when values.Any(v => v != values[0]) => Together(values),
        _ => values[0],
    };

    /// <summary>Scalars of the nodes as a vector.</summary>
    private Value Together(Value[] scalars)
    {
        byte[] bytes = [.. scalars.SelectMany(s => s.Data!.Bytes.ToArray())];
        return _g.Constant(TensorData.Create(scalars[0].Type, [scalars.Length], bytes));
    }

    private Value AddOutput(Value value, Value input)
    {
        GraphBuilder.Like(_g.Named(value, OptimizerGraphBuilder.UpdatedOf(input.Name)), input);
        _graph.Outputs.Add(value);
        return value;
    }

    /// <summary>A tensor that the graph now reads and writes as part of a flat buffer.</summary>
    private void Drop(TensorSlot slot)
    {
        if (slot.UseIn(PlanGraph.Optimizer) is not TensorUse use) return;
        if (use.Input is not null) _dropped.Add(_inputs[use.Input]);
        if (use.Output is not null) _dropped.Add(_outputs[use.Output]);
    }

    /// <summary>Of gradients, Concat(SquaredNorm(g1), SquaredNorm(g2) …) becomes a node a segment; a selection puts the
    /// numbers into the old order.</summary>
    private void JoinNorms(IEnumerable<FlatSegment> segments)
    {
        if (!_hasKernel(SquaredNorm.Joined)) return;
        var places = new Dictionary<Value, (FlatSegment Segment, int Index)>();
        foreach (FlatSegment segment in segments)
        {
            for (int i = 0; i < segment.Owners.Count; i++)
            {
                string? input = _plan.Find(TensorRole.Gradient, segment.Owners[i])?.UseIn(PlanGraph.Optimizer)?.Input;
                if (input is not null) places[_inputs[input]] = (segment, i);
            }
        }
        foreach (Node concat in _graph.Nodes.Where(n => n.Is("Concat")).ToList())
        {
            Node?[] norms = [.. concat.Inputs.Select(i => i!.Producer)];
            if (norms.Length == 0
                || !norms.All(n =>
                    n is { Domain: OperatorDefinition.Domain } && n.OpType == SquaredNorm.Definition.Name
                    && places.ContainsKey(n.Inputs[0]!)))
            {
                continue;
            }

            ReplaceNorms(concat, [.. norms.Select(n => places[n!.Inputs[0]!])]);
            _replaced.UnionWith(norms!);
        }
    }

    private void ReplaceNorms(Node concat, (FlatSegment Segment, int Index)[] tensors)
    {
        _g.Scope = "norm";
        int before = _graph.Nodes.Count;
        var parts = new List<Value>();
        var order = new List<int>();
        foreach (IGrouping<FlatSegment, int> part in Enumerable.Range(0, tensors.Length).GroupBy(i => tensors[i].Segment))
        {
            FlatSegment segment = part.Key;
            Value starts = Vector(part.Select(i => segment.Starts[tensors[i].Index]));
            Value lengths = Vector(part.Select(i => segment.Lengths[tensors[i].Index]));
            parts.Add(SquaredNorm.Joined.Call(_g, [Flat(segment, TensorRole.Gradient, ""), starts, lengths])[0]);
            order.AddRange(part);
        }
        Value all = parts.Count == 1 ? parts[0] : _g.Concat(0, [.. parts]);
        long[] positions = new long[order.Count];
        for (int i = 0; i < positions.Length; i++) positions[order[i]] = i;
        if (!positions.Select((p, i) => p == i).All(same => same)) all = _g.Gather(all, _g.Ints(positions));
        GraphBuilder.Like(all, concat.Outputs[0]!);
        Node[] added = [.. _graph.Nodes.Skip(before)];
        _graph.Nodes.RemoveRange(before, added.Length);
        _graph.Nodes.InsertRange(_graph.Nodes.IndexOf(concat), added);
        _graph.ReplaceReaders(concat.Outputs[0]!, all);
        _graph.Nodes.Remove(concat);
        _operators[SquaredNorm.Joined.Name] = SquaredNorm.Joined;
    }

    /// <summary>committed ← applied ? pending : committed, then pending ← committed, over all statistics at
    /// once.</summary>
    private void JoinStatistics(FlatSegment segment)
    {
        TensorUse[] uses = [.. segment.Owners.Select(o => _plan.Find(TensorRole.Statistic, o)!.UseIn(PlanGraph.Optimizer)!)];
        Node[] commits = [.. uses.Select(u => _outputs[u.Output!].Producer!)];
        Value applied = commits[0].Inputs[0]!;
        if (!commits.All(c => c.Is("Where") && c.Inputs[0] == applied)) return;
        Value committed = Flat(segment, TensorRole.Statistic, ""), pending = Flat(segment, TensorRole.PendingStatistic, "");
        _g.Scope = "statistics";
        Value value = AddOutput(_g.Where(applied, pending, committed), committed);
        Value copy = AddOutput(_g.Identity(value), pending);
        _uses.Add(new FlatUse(segment, TensorRole.Statistic, "", committed.Name, value.Name));
        _uses.Add(new FlatUse(segment, TensorRole.PendingStatistic, "", pending.Name, copy.Name));
        foreach (string owner in segment.Owners)
        {
            Drop(_plan.Find(TensorRole.Statistic, owner)!);
            Drop(_plan.Find(TensorRole.PendingStatistic, owner)!);
        }
    }

    private JoinedOptimizer Finish()
    {
        foreach ((Value input, Value last) in _rows)
        {
            TensorSlot slot = _plan.Slots.First(s => s.UseIn(PlanGraph.Optimizer)?.Input == input.Name);
            string output = slot.UseIn(PlanGraph.Optimizer)!.Output!;
            _graph.Outputs[_graph.Outputs.IndexOf(_outputs[output])] = last;
            _outputs[output].Name = _g.Graph.Names.Unique($"{output}/replaced");
            last.Name = output;
        }
        foreach (((FlatSegment segment, TensorRole role, string kind), Value input) in _flat)
        {
            if (_uses.All(u => u.Input != input.Name)) _uses.Add(new FlatUse(segment, role, kind, input.Name, null));
        }
        _graph.Nodes.RemoveAll(_replaced.Contains);
        _graph.Outputs.RemoveAll(_dropped.Contains);
        RemoveDeadNodes.Run(_graph);
        // A gradient may still be read by itself: by a norm over some that lie in no segment.
        _dropped.ExceptWith(_graph.Nodes.SelectMany(OnnxGraph.ReadBy));
        foreach (Value input in _graph.Inputs.Where(_dropped.Contains).ToList()) _graph.Inputs.Remove(input);
        _graph.Sort();
        GraphChecker.Check(_model, "joined optimizer");
        InPlaceRule.Check(
            _model,
            [.. _uses.Where(u => u.Output is not null).Select(u => (u.Input, u.Output!))],
            writesInPlace: node => node.Domain == OperatorDefinition.Domain && _operators.Values.Any(o => o.Name == node.OpType));
        return new JoinedOptimizer(_model, [.. _operators.Values], _uses);
    }
}
