"""What our training is compared with in `benchmarks/training.py`: the authors' way, and timm's model in a lean loop."""

import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms
from training_results import Task

from convmixer.augment import augment
from convmixer.data import Dataset
from convmixer.device import Precision, autocast
from convmixer.optimiser import make_optimiser
from convmixer.recipe import Recipe
from convmixer.transfer import send

LOADER_WORKERS = {"authors": 2, "authors-16": 16}

Batches = Iterator[tuple[Tensor, Tensor]]


class Stopwatch:
    """Times the training after a warm-up of so many ``warm_up_images``, for ``seconds`` and to the end of a batch."""

    def __init__(self, warm_up_images: int, seconds: float, device: torch.device) -> None:
        self.images, self.elapsed = 0, 0.0
        self._warm_up_images, self._seconds, self._device = warm_up_images, seconds, device
        self._began: float | None = None
        self._images_before = 0

    def is_over(self, images: int) -> bool:
        """Whether the time is over; ``images`` have been trained on since the beginning, warm-up included."""
        if self._began is None:
            if images >= self._warm_up_images:
                self._images_before, self._began = images, self._now()
            return False
        if time.perf_counter() - self._began < self._seconds:
            return False
        self.images, self.elapsed = images - self._images_before, self._now() - self._began
        return True

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


def train_as_authors(task: Task, data: Dataset, recipe: Recipe, device: torch.device, watch: Stopwatch) -> Precision:
    """As train.py of locuslab/convmixer-cifar10 does, less the wrapper for several GPUs."""
    precision: Precision = "fp16" if device.type == "cuda" else "fp32"
    model = build_authors_model(task, data).to(device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    batches = load_as_authors(data, recipe, 1 if task.rehearsed else LOADER_WORKERS[task.variant])
    moved = ((images.to(device), labels.to(device)) for images, labels in batches)
    run_steps(model, optimiser, moved, device, precision, watch, reads_loss=True)
    return precision


def train_timm(task: Task, data: Dataset, recipe: Recipe, device: torch.device, watch: Stopwatch) -> Precision:
    """timm's model trained as well as torch alone can: nothing waits for the device, and our augmentation on it."""
    precision: Precision = "bf16" if device.type == "cuda" else "fp32"
    model = build_timm_model(task, data).to(device, memory_format=torch.channels_last)
    torch.backends.cudnn.benchmark = device.type == "cuda"  # as our own training has it where it may
    optimiser = make_optimiser(model, recipe)
    forward: Callable[[Tensor], Tensor] = model
    if task.variant == "timm-compiled":
        forward = torch.compile(model, backend="inductor" if device.type == "cuda" else "eager")
    run_steps(forward, optimiser, draw_batches(data, recipe, device), device, precision, watch, reads_loss=False)
    return precision


def run_steps(
    forward: Callable[[Tensor], Tensor],
    optimiser: torch.optim.Optimizer,
    batches: Batches,
    device: torch.device,
    precision: Precision,
    stopwatch: Stopwatch,
    *,
    reads_loss: bool,
) -> None:
    """Train until the time is over; to have ``reads_loss`` sum up loss and accuracy after each step costs a wait."""
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
    total_loss, correct, images_seen = 0.0, 0, 0
    for images, labels in batches:
        optimiser.zero_grad()
        with autocast(device, precision):
            logits = forward(images)
            loss = F.cross_entropy(logits, labels)
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        if reads_loss:
            total_loss += loss.item() * len(labels)
            correct += (logits.argmax(1) == labels).sum().item()
        images_seen += len(labels)
        if stopwatch.is_over(images_seen):
            return


def build_authors_model(task: Task, data: Dataset) -> nn.Sequential:
    """The authors' ``nn.Sequential``: the tensors of our model in the same order, and the same function of them."""
    width, same = task.width, {"groups": task.width, "padding": "same"}

    def follow(layer: nn.Module) -> list[nn.Module]:
        return [layer, nn.GELU(), nn.BatchNorm2d(width)]

    def block() -> nn.Sequential:
        depthwise = nn.Conv2d(width, width, task.kernel_size, **same)
        return nn.Sequential(_Shortcut(nn.Sequential(*follow(depthwise))), *follow(nn.Conv2d(width, width, 1)))

    stem = nn.Conv2d(data.image_shape[0], width, task.patch_size, stride=task.patch_size)
    head = nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(width, len(data.classes))
    return nn.Sequential(*follow(stem), *(block() for _ in range(task.depth)), *head)


class _Shortcut(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) + x


def build_timm_model(task: Task, data: Dataset) -> nn.Module:
    from timm.models.convmixer import ConvMixer as TimmConvMixer  # timm would count in the memory of all others

    sizes = {"kernel_size": task.kernel_size, "patch_size": task.patch_size, "num_classes": len(data.classes)}
    return TimmConvMixer(task.width, task.depth, **sizes)


class _Pictures(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """One PIL image at a time through ``transform``, as torchvision's CIFAR10 gives them."""

    def __init__(self, data: Dataset, transform: Callable[[Image.Image], Tensor]) -> None:
        self.images = data.train_images.permute(0, 2, 3, 1).contiguous().numpy()  # (n, height, width, channels)
        self.labels, self.transform = data.train_labels.tolist(), transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[number])), self.labels[number]


def load_as_authors(data: Dataset, recipe: Recipe, workers: int) -> Batches:
    """The authors' transforms with their 25-epoch options, in loader processes that start anew with each epoch."""
    transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(data.image_shape[1], scale=(recipe.crop_scale, 1.0), ratio=(1.0, 1.0)),
            transforms.RandomHorizontalFlip(recipe.flip_probability),
            transforms.RandAugment(recipe.randaugment_ops, recipe.randaugment_magnitude),
            transforms.ColorJitter(*[recipe.color_jitter] * 3),
            transforms.ToTensor(),
            transforms.Normalize(data.mean, data.std),
            transforms.RandomErasing(recipe.erasing_probability),
        ]
    )
    options = {"batch_size": recipe.batch_size, "shuffle": True, "num_workers": workers, "drop_last": True}
    loader = torch.utils.data.DataLoader(_Pictures(data, transform), **options)
    while True:
        yield from loader


def draw_batches(data: Dataset, recipe: Recipe, device: torch.device) -> Batches:
    """Whole batches in random order, on the device from the beginning and augmented there."""
    images, labels = data.train_images.to(device), data.train_labels.to(device)
    generator = torch.Generator().manual_seed(0)
    while True:
        order = send(torch.randperm(len(labels), generator=generator), device)
        for batch in order.split(recipe.batch_size)[: len(labels) // recipe.batch_size]:
            yield augment(images[batch], recipe, generator, data.mean, data.std), labels[batch]
