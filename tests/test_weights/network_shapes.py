"""Names and shapes of other libraries' networks, written out from their architectures."""
import torch

DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
NORM = ('weight', 'bias', 'running_mean', 'running_var')


def norm_shapes(name, width, counter=False):
    shapes = {f'{name}.{leaf}': (width,) for leaf in NORM}
    return {**shapes, f'{name}.num_batches_tracked': ()} if counter else shapes


def layer_shapes(name, *weight):
    return {f'{name}.weight': weight, f'{name}.bias': weight[:1]}


def bottlenecks(depth, groups=1, base_width=64):
    """Yield stage, block, input width, inner width and output width of a ResNet's blocks."""
    before = 64
    for stage, blocks in enumerate(DEPTHS[depth]):
        inner, after = 64 * 2 ** stage * groups * base_width // 64, 256 * 2 ** stage
        for block in range(blocks):
            yield stage, block, before, inner, after
            before = after


def torchvision_resnet(depth=50, counter=False):
    shapes = {'conv1.weight': (64, 3, 7, 7), **norm_shapes('bn1', 64, counter)}
    for stage, block, before, inner, after in bottlenecks(depth):
        name = f'layer{stage + 1}.{block}'
        convs = [(inner, before, 1, 1), (inner, inner, 3, 3), (after, inner, 1, 1)]
        for number, shape in enumerate(convs, 1):
            shapes[f'{name}.conv{number}.weight'] = shape
            shapes |= norm_shapes(f'{name}.bn{number}', shape[0], counter)
        if block == 0:
            shapes[f'{name}.downsample.0.weight'] = (after, before, 1, 1)
            shapes |= norm_shapes(f'{name}.downsample.1', after, counter)
    return shapes


def torchvision_predictors(classes, hidden):
    """Shapes of the layers that know the class count, background included."""
    return {
        **layer_shapes('rpn.head.cls_logits', 3, 256, 1, 1),
        **layer_shapes('rpn.head.bbox_pred', 12, 256, 1, 1),
        **layer_shapes('roi_heads.box_predictor.cls_score', classes, 1024),
        **layer_shapes('roi_heads.box_predictor.bbox_pred', 4 * classes, 1024),
        'roi_heads.mask_predictor.conv5_mask.weight': (256, hidden, 2, 2),
        'roi_heads.mask_predictor.conv5_mask.bias': (hidden,),
        **layer_shapes('roi_heads.mask_predictor.mask_fcn_logits', classes, hidden, 1, 1)}


def torchvision_v1(classes=91, hidden=256, old_names=False, counter=False):
    """`maskrcnn_resnet50_fpn`; its published file has the names of before version 0.14."""
    shapes = {f'backbone.body.{name}': shape
              for name, shape in torchvision_resnet(50, counter).items()}
    inner = '' if old_names else '.0'
    for level, width in enumerate((256, 512, 1024, 2048)):
        shapes |= layer_shapes(f'backbone.fpn.inner_blocks.{level}{inner}', 256, width, 1, 1)
        shapes |= layer_shapes(f'backbone.fpn.layer_blocks.{level}{inner}', 256, 256, 3, 3)
    shapes |= layer_shapes('rpn.head.conv' + ('' if old_names else '.0.0'), 256, 256, 3, 3)
    shapes |= layer_shapes('roi_heads.box_head.fc6', 1024, 256 * 7 * 7)
    shapes |= layer_shapes('roi_heads.box_head.fc7', 1024, 1024)
    for number in range(4):
        name = f'mask_fcn{number + 1}' if old_names else f'{number}.0'
        shapes |= layer_shapes(f'roi_heads.mask_head.{name}', 256, 256, 3, 3)
    return shapes | torchvision_predictors(classes, hidden)


def torchvision_v2(classes=91, hidden=256):
    """`maskrcnn_resnet50_fpn_v2`: BatchNorm in neck and heads, where convolutions have no bias."""
    body = torchvision_resnet(50, counter=True)
    shapes = {f'backbone.body.{name}': shape for name, shape in body.items()}
    blocks = {}
    for level, width in enumerate((256, 512, 1024, 2048)):
        blocks[f'backbone.fpn.inner_blocks.{level}'] = (256, width, 1, 1)
        blocks[f'backbone.fpn.layer_blocks.{level}'] = (256, 256, 3, 3)
    for number in range(4):
        blocks[f'roi_heads.box_head.{number}'] = (256, 256, 3, 3)
        blocks[f'roi_heads.mask_head.{number}'] = (256, 256, 3, 3)
    for name, shape in blocks.items():
        shapes[f'{name}.0.weight'] = shape
        shapes |= norm_shapes(f'{name}.1', 256, counter=True)
    for number in range(2):
        shapes |= layer_shapes(f'rpn.head.conv.{number}.0', 256, 256, 3, 3)
    shapes |= layer_shapes('roi_heads.box_head.5', 1024, 256 * 7 * 7)
    return shapes | torchvision_predictors(classes, hidden)


def detectron2(depth=50, groups=1, base_width=64, classes=80):
    """Mask R-CNN with FPN of the zoo's `.pkl` files; `classes` without background."""
    body = 'backbone.bottom_up'
    shapes = {'pixel_mean': (3, 1, 1), 'pixel_std': (3, 1, 1),
              f'{body}.stem.conv1.weight': (64, 3, 7, 7),
              **norm_shapes(f'{body}.stem.conv1.norm', 64)}
    for stage, block, before, inner, after in bottlenecks(depth, groups, base_width):
        name = f'{body}.res{stage + 2}.{block}'
        convs = {'conv1': (inner, before, 1, 1), 'conv2': (inner, inner // groups, 3, 3),
                 'conv3': (after, inner, 1, 1)}
        if block == 0:
            convs['shortcut'] = (after, before, 1, 1)
        for conv, shape in convs.items():
            shapes[f'{name}.{conv}.weight'] = shape
            shapes |= norm_shapes(f'{name}.{conv}.norm', shape[0])
    for level, width in enumerate((256, 512, 1024, 2048), 2):
        shapes |= layer_shapes(f'backbone.fpn_lateral{level}', 256, width, 1, 1)
        shapes |= layer_shapes(f'backbone.fpn_output{level}', 256, 256, 3, 3)
    for level in range(5):
        shapes[f'proposal_generator.anchor_generator.cell_anchors.{level}'] = (3, 4)
    shapes |= layer_shapes('proposal_generator.rpn_head.conv', 256, 256, 3, 3)
    shapes |= layer_shapes('proposal_generator.rpn_head.objectness_logits', 3, 256, 1, 1)
    shapes |= layer_shapes('proposal_generator.rpn_head.anchor_deltas', 12, 256, 1, 1)
    shapes |= layer_shapes('roi_heads.box_head.fc1', 1024, 256 * 7 * 7)
    shapes |= layer_shapes('roi_heads.box_head.fc2', 1024, 1024)
    shapes |= layer_shapes('roi_heads.box_predictor.cls_score', classes + 1, 1024)
    shapes |= layer_shapes('roi_heads.box_predictor.bbox_pred', 4 * classes, 1024)
    for number in range(1, 5):
        shapes |= layer_shapes(f'roi_heads.mask_head.mask_fcn{number}', 256, 256, 3, 3)
    shapes |= {'roi_heads.mask_head.deconv.weight': (256, 256, 2, 2),
               'roi_heads.mask_head.deconv.bias': (256,)}
    return shapes | layer_shapes('roi_heads.mask_head.predictor', classes, 256, 1, 1)


def mmdet_v1(ours, classes):
    """An mmdet 1.x Mask R-CNN, told from the shapes of one of mmdet 3."""
    shapes = {name.removeprefix('roi_head.'): shape for name, shape in ours.items()}
    for leaf in ('weight', 'bias'):
        for layer, rows in (('bbox_head.fc_reg', 4 * classes + 4),
                            ('mask_head.conv_logits', classes + 1)):
            name = f'{layer}.{leaf}'
            shapes[name] = (rows, *shapes[name][1:])
    return shapes


def filled(shapes, seed=0):
    """Tensors of the given shapes, all values different."""
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.rand(shape, generator=generator) if shape else torch.tensor(1)
            for name, shape in shapes.items()}
